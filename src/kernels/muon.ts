/** Muon's passes over a matrix between its GEMMs. Threads split the elements at cache lines. */
import {
  Hyperparameters,
  MatrixPolynomialArguments,
  MuonMomentumArguments,
  MuonUpdateArguments,
  NormalizeArguments,
  NormalizeColumnsArguments,
  NormalizeRowsArguments,
} from './generated/arguments';
import { clipFactor } from './optimizer';
import { rowDot, rowScale } from './rows';
import { allocate } from './scratch';
import { sliceEnd, sliceStart } from './threads';
import { FLOATS_PER_LINE, loadPart, madd, squareRoot, storePart } from './vector';

/** Lower bound of the norm by which a vector is divided; a zero vector stays zero. */
const SHORTEST: f32 = 1e-7;

export function muonMomentum(args: MuonMomentumArguments): void {
  const hyper = changetype<Hyperparameters>(args.hyper);
  if (hyper.stopped != 0) return;
  const momentum = f32x4.splat(hyper.momentum);
  const rest = f32x4.splat(hyper.oneMinusMomentum * clipFactor(hyper, load<f32>(args.norm)));
  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  for (let i = sliceStart(args.n, FLOATS_PER_LINE); i < end; i += 4) {
    const at = usize(i) << 2;
    const g = f32x4.mul(loadPart(args.dX + at, end - i), rest);
    const m = madd(momentum, loadPart(args.m + at, end - i), g);
    storePart(args.m + at, m, end - i);
    storePart(args.u + at, madd(momentum, m, g), end - i);
  }
}

export function normalize(args: NormalizeArguments): void {
  const factor = f32x4.splat(1 / max<f32>(load<f32>(args.norm), SHORTEST));
  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  for (let i = sliceStart(args.n, FLOATS_PER_LINE); i < end; i += 4) {
    const at = usize(i) << 2;
    storePart(args.y + at, f32x4.mul(loadPart(args.x + at, end - i), factor), end - i);
  }
}

/** Threads split the rows. */
export function normalizeRows(args: NormalizeRowsArguments): void {
  const C = args.C;
  const end = sliceEnd(args.N, 1);
  for (let n = sliceStart(args.N, 1); n < end; n++) {
    const at = (usize(n) * C) << 2;
    const x = args.x + at;
    rowScale(x, args.y + at, C, 1 / max<f32>(squareRoot(rowDot(x, x, C)), SHORTEST));
  }
}

/** Threads split the columns, at cache lines. The sums of squares run down the rows in order. */
export function normalizeColumns(args: NormalizeColumnsArguments): void {
  const N = args.N;
  const C = args.C;
  const from = sliceStart(C, FLOATS_PER_LINE);
  const columns = sliceEnd(C, FLOATS_PER_LINE) - from;
  if (columns <= 0) return;
  const factors = allocate(usize(columns + 3) << 2);
  memory.fill(factors, 0, usize(columns + 3) << 2);
  const start = usize(from) << 2;
  const ld = usize(C) << 2;
  for (let n = 0; n < N; n++) {
    const x = args.x + start + ld * n;
    for (let c = 0; c < columns; c += 4) {
      const at = usize(c) << 2;
      const v = loadPart(x + at, columns - c);
      v128.store(factors + at, madd(v, v, v128.load(factors + at)));
    }
  }
  const one = f32x4.splat(1);
  for (let c = 0; c < columns; c += 4) {
    const at = factors + (usize(c) << 2);
    const length = f32x4.max(f32x4.sqrt(v128.load(at)), f32x4.splat(SHORTEST));
    v128.store(at, f32x4.div(one, length));
  }
  for (let n = 0; n < N; n++) {
    const row = start + ld * n;
    for (let c = 0; c < columns; c += 4) {
      const at = usize(c) << 2;
      const scaled = f32x4.mul(loadPart(args.x + row + at, columns - c), v128.load(factors + at));
      storePart(args.y + row + at, scaled, columns - c);
    }
  }
}

/** Threads split the rows. */
export function matrixPolynomial(args: MatrixPolynomialArguments): void {
  const M = args.M;
  const beta = f32x4.splat(args.beta);
  const gamma = f32x4.splat(args.gamma);
  const end = sliceEnd(M, 1);
  for (let row = sliceStart(M, 1); row < end; row++) {
    const start = (usize(row) * M) << 2;
    for (let c = 0; c < M; c += 4) {
      const at = start + (usize(c) << 2);
      const square = f32x4.mul(gamma, loadPart(args.square + at, M - c));
      storePart(args.y + at, madd(beta, loadPart(args.a + at, M - c), square), M - c);
    }
    const diagonal = args.y + start + (usize(row) << 2);
    store<f32>(diagonal, load<f32>(diagonal) + args.alpha);
  }
}

export function muonUpdate(args: MuonUpdateArguments): void {
  const hyper = changetype<Hyperparameters>(args.hyper);
  if (hyper.stopped != 0) return;
  const rate = hyper.matrixLearningRate;
  const keep = f32x4.splat(1 - rate * hyper.weightDecay);
  const step = f32x4.splat(rate * args.scale);
  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  for (let i = sliceStart(args.n, FLOATS_PER_LINE); i < end; i += 4) {
    const at = usize(i) << 2;
    const kept = f32x4.mul(loadPart(args.x + at, end - i), keep);
    storePart(args.x + at, f32x4.sub(kept, f32x4.mul(loadPart(args.o + at, end - i), step)), end - i);
  }
}
