/** Muon's passes over a matrix between its GEMMs. Threads split the elements at cache lines. */
import {
  Hyperparameters,
  MatrixPolynomialArguments,
  MuonMomentumArguments,
  MuonUpdateArguments,
  NormalizeArguments,
} from './generated/arguments';
import { clipFactor } from './optimizer';
import { sliceEnd, sliceStart } from './threads';
import { FLOATS_PER_LINE, loadPart, madd, storePart } from './vector';

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
  const factor = f32x4.splat(1 / max<f32>(load<f32>(args.norm), 1e-7));
  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  for (let i = sliceStart(args.n, FLOATS_PER_LINE); i < end; i += 4) {
    const at = usize(i) << 2;
    storePart(args.y + at, f32x4.mul(loadPart(args.x + at, end - i), factor), end - i);
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
