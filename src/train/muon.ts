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

/** Floating-point operations of the orthogonalizations of an update. */
export const updateFlops = (parameters: readonly Parameter[]): number =>
  parameters.filter(isLinearWeight).reduce((sum, { shape: [rows, columns] }) => {
    const M = Math.min(rows, columns);
    return sum + NEWTON_SCHULZ.iterations * (4 * M * rows * columns + 2 * M ** 3);
  }, 0);

/** Records the update of one matrix, in torch.optim.Muon's arithmetic, but in float32. */
export function recordMuon(t: Recorder, { x, dX, m, shape, isTransposed, hyper, norm }: Matrix): void {
  const [rows, columns] = shape;
  const n = rows * columns;
  const u = t.local(shape);
  t.emit('muonMomentum', { dX, m, u, hyper, norm, n });
  const o = orthogonalize(t, u);
  const outputsPerInput = isTransposed ? rows / columns : columns / rows;
  const scale = Math.sqrt(Math.max(1, outputsPerInput));
  t.emit('muonUpdate', { x, o, hyper, n, scale });
}

/**
 * U·Vᵀ of x = U·S·Vᵀ, approximately: the Newton–Schulz iteration X ← (α·I + β·A + γ·A²)·X with A = X·Xᵀ pushes the singular
 * values of x/‖x‖ towards 1. Only GEMMs, on the smaller side of x: a tall matrix is multiplied from the right, with A = Xᵀ·X.
 */
function orthogonalize(t: Recorder, x: Value): Value {
  const [rows, columns] = x.shape;
  const n = rows * columns;
  const M = Math.min(rows, columns);
  const isTall = rows > columns;
  const length = t.local([1]);
  t.emit('globalNorm', { x, partials: t.local([2 * Math.ceil(n / NORM_BLOCK)]), norm: length, n });
  let y = t.local(x.shape);
  t.emit('normalize', { x, norm: length, y, n });
  const { iterations, ...coefficients } = NEWTON_SCHULZ;
  for (let i = 0; i < iterations; i++) {
    const gram = multiply(t, [y, isTall], [y, !isTall]); // [M,M]
    const polynomial = t.local([M, M]);
    const square = multiply(t, [gram, false], [gram, false]);
    t.emit('matrixPolynomial', { a: gram, square, y: polynomial, M, ...coefficients });
    y = isTall ? multiply(t, [y, false], [polynomial, false]) : multiply(t, [polynomial, false], [y, false]);
  }
  return y;
}

/** A matrix and whether it is transposed. */
type Operand = readonly [value: Value, isTransposed: boolean];

function multiply(t: Recorder, [a, transA]: Operand, [b, transB]: Operand): Value {
  const [M, K] = transA ? a.shape.toReversed() : a.shape;
  const N = transB ? b.shape[0] : b.shape[1];
  const c = t.local([M, N]);
  t.emit('gemm', { a, b, bias: null, c, M, N, K, transA: Number(transA), transB: Number(transB) });
  return c;
}
