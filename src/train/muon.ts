/**
 * Muon (Jordan et al. 2024): momentum whose update is orthogonalized, so that every direction of a matrix learns at the same
 * rate. It applies to the matrices of linear layers; embeddings, the output head and vectors are left to AdamW.
 */
import type { Value } from '../autodiff/graph.ts';
import type { Recorder } from '../autodiff/recorder.ts';
import { NORM_BLOCK } from '../engine/signatures.ts';
import { isLinearWeight, type Parameter } from '../model/parameter.ts';

/** A linear layer's matrix with the operands of its update. */
export interface Matrix {
  readonly name: string;
  readonly x: Value;
  readonly dX: Value;
  readonly m: Value;
  readonly shape: readonly number[];
  /** Stored [out,in] instead of [in,out]. */
  readonly isTransposed: boolean;
  readonly hyper: Value;
  readonly norm: Value;
}

/** Coefficients of the polynomial, tuned so that five iterations move singular values in [0.01, 1] to [0.68, 1.13]. */
const NEWTON_SCHULZ = { iterations: 5, alpha: 3.4445, beta: -4.775, gamma: 2.0315 } as const;

/** Ratio of the sides from which iterating on the Gram matrix of x alone is faster. */
const GRAM_RATIO = 1.25;

const isElongated = ([rows, columns]: readonly number[]): boolean =>
  Math.max(rows, columns) >= GRAM_RATIO * Math.min(rows, columns);

/** Floating-point operations of the orthogonalizations of an update. */
export const updateFlops = (parameters: readonly Parameter[]): number =>
  parameters.filter(isLinearWeight).reduce((sum, { shape }) => sum + orthogonalizationFlops(shape), 0);

/** Floating-point operations of `orthogonalize`. */
export function orthogonalizationFlops(shape: readonly number[]): number {
  const [M, N] = shape.toSorted((a, b) => a - b);
  const k = NEWTON_SCHULZ.iterations;
  const symmetric = (K: number): number => M * (M + 1) * K;
  const whole = 2 * M * M * N;
  return isElongated(shape)
    ? symmetric(N) + (k + 3 * (k - 1)) * symmetric(M) + whole
    : k * (symmetric(N) + symmetric(M) + whole);
}

/**
 * Scale of the orthogonalized update, before the learning rate:
 *
 * - `neuron`: the update of each output's weights is normalized to length 1.
 * - `matrix`: the whole matrix times √max(1, outputs/inputs), as published; lengths differ between outputs.
 */
export const muonScales = ['neuron', 'matrix'] as const;
export type MuonScale = (typeof muonScales)[number];

/** Records the update of one matrix: with the scale `matrix`, in torch.optim.Muon's arithmetic, but in float32. */
export function recordMuon(
  t: Recorder,
  { x, dX, m, shape, isTransposed, hyper, norm }: Matrix,
  muonScale: MuonScale,
): void {
  const [rows, columns] = shape;
  const n = rows * columns;
  const u = t.local(shape);
  t.emit('muonMomentum', { dX, m, u, hyper, norm, n });
  const o = orthogonalize(t, u);
  if (muonScale === 'neuron') {
    const y = t.local(shape);
    t.emit(isTransposed ? 'normalizeRows' : 'normalizeColumns', { x: o, y, N: rows, C: columns });
    t.emit('muonUpdate', { x, o: y, hyper, n, scale: 1 });
    return;
  }
  const outputsPerInput = isTransposed ? rows / columns : columns / rows;
  const scale = Math.sqrt(Math.max(1, outputsPerInput));
  t.emit('muonUpdate', { x, o, hyper, n, scale });
}

/**
 * U·Vᵀ of x = U·S·Vᵀ, approximately: the Newton–Schulz iteration X ← P·X with P = α·I + β·A + γ·A² and A = X·Xᵀ pushes the
 * singular values of x/‖x‖ towards 1. Only GEMMs, on the smaller side of x: a tall matrix is multiplied from the right, with
 * A = Xᵀ·X.
 */
export function orthogonalize(t: Recorder, x: Value): Value {
  const [rows, columns] = x.shape;
  const n = rows * columns;
  const isTall = rows > columns;
  const length = t.local([1]);
  t.emit('globalNorm', { x, partials: t.local([2 * Math.ceil(n / NORM_BLOCK)]), norm: length, n });
  let y = t.local(x.shape);
  t.emit('normalize', { x, norm: length, y, n });
  const gram = (of: Value): Value => symmetricProduct(t, [of, isTall], [of, !isTall]); // [M,M]
  const apply = (p: Value, to: Value): Value => (isTall ? product(t, to, p) : product(t, p, to));
  if (isElongated(x.shape)) return apply(composedFactor(t, gram(y)), y);
  for (let i = 0; i < NEWTON_SCHULZ.iterations; i++) y = apply(factor(t, gram(y)), y);
  return y;
}

/** P = α·I + β·A + γ·A² of a symmetric A [M,M]. */
function factor(t: Recorder, a: Value): Value {
  const [M] = a.shape;
  const { alpha, beta, gamma } = NEWTON_SCHULZ;
  const y = t.local([M, M]);
  const square = symmetricProduct(t, [a, false], [a, false]);
  t.emit('matrixPolynomial', { a, square, y, M, alpha, beta, gamma });
  return y;
}

/**
 * The product of the factors P of all iterations, computed from the first A alone: the next A is P·A·P. All of these matrices
 * are polynomials of the first A, so they commute, and their products are symmetric. X itself, which is larger, is multiplied
 * only once.
 */
function composedFactor(t: Recorder, first: Value): Value {
  const commuting = (b: Value, c: Value): Value => symmetricProduct(t, [b, false], [c, false]);
  let a = first;
  let p = factor(t, a);
  let composed = p;
  for (let i = 1; i < NEWTON_SCHULZ.iterations; i++) {
    a = commuting(commuting(p, a), p);
    p = factor(t, a);
    composed = commuting(p, composed);
  }
  return composed;
}

/** A matrix and whether it is transposed. */
type Operand = readonly [value: Value, isTransposed: boolean];

const product = (t: Recorder, a: Value, b: Value): Value => multiply(t, [a, false], [b, false]);

function multiply(t: Recorder, [a, transA]: Operand, [b, transB]: Operand): Value {
  const [M, K] = transA ? a.shape.toReversed() : a.shape;
  const N = transB ? b.shape[0] : b.shape[1];
  const c = t.local([M, N]);
  t.emit('gemm', { a, b, bias: null, c, M, N, K, transA: Number(transA), transB: Number(transB) });
  return c;
}

/** op(a)·op(b), known to be symmetric. */
function symmetricProduct(t: Recorder, [a, transA]: Operand, [b, transB]: Operand): Value {
  const [M, K] = transA ? a.shape.toReversed() : a.shape;
  const c = t.local([M, M]);
  t.emit('gemmSymmetric', { a, b, c, M, K, transA: Number(transA), transB: Number(transB) });
  return c;
}
