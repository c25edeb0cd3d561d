/**
 * The gradient norm and the optimizer updates, element by element. Formulas and sources: train/optimizer.ts, train/muon.ts.
 * `hyper` holds the hyperparameters in the slots of HYPER; the first `decayed` elements are those of matrices.
 */
import type { Floats } from '../device.ts';
import { HYPER, NORM_BLOCK } from '../signatures.ts';
import { sumOfSquares } from '../sum-of-squares.ts';
import type { ReferenceArguments } from './view.ts';

export function globalNorm({ x, norm, n }: ReferenceArguments<'globalNorm'>): void {
  let sum = 0;
  // In the kernel's order, so that ranks, which add the sums of their own blocks, are bit-identical to this engine.
  for (let at = 0; at < n; at += NORM_BLOCK)
    sum += sumOfSquares(x.subarray(at, Math.min(n, at + NORM_BLOCK)));
  norm[0] = Math.sqrt(sum);
}

export function checkStep({ lossSum, norm, hyper, verdict }: ReferenceArguments<'checkStep'>): void {
  const isGood =
    Number.isFinite(lossSum[0]) && Number.isFinite(norm[0]) && lossSum[0] <= hyper[HYPER.lossLimit];
  if (!isGood) hyper[HYPER.stopped] = 1;
  verdict[0] = norm[0];
  verdict[1] = hyper[HYPER.stopped];
}

/** The factor that limits the gradient's global norm to the clip value. */
const clipFactor = (hyper: Floats, norm: Floats): number =>
  hyper[HYPER.clip] > 0 && norm[0] > hyper[HYPER.clip] ? hyper[HYPER.clip] / norm[0] : 1;

export function adamw({ x, dX, m, v, hyper, norm, n, decayed }: ReferenceArguments<'adamw'>): void {
  if (hyper[HYPER.stopped] !== 0) return;
  const lr = hyper[HYPER.learningRate];
  const beta1 = hyper[HYPER.beta1];
  const beta2 = hyper[HYPER.beta2];
  const factor = clipFactor(hyper, norm);
  for (let i = 0; i < n; i++) {
    const g = dX[i] * factor;
    m[i] = beta1 * m[i] + hyper[HYPER.oneMinusBeta1] * g;
    v[i] = beta2 * v[i] + hyper[HYPER.oneMinusBeta2] * g * g;
    const shrunk = i < decayed ? x[i] * (1 - lr * hyper[HYPER.weightDecay]) : x[i];
    const root = Math.sqrt(v[i] / hyper[HYPER.correction2]) + hyper[HYPER.epsilon];
    x[i] = shrunk - (lr * (m[i] / hyper[HYPER.correction1])) / root;
  }
}

export function sgd({ x, dX, m, hyper, norm, n, decayed }: ReferenceArguments<'sgd'>): void {
  if (hyper[HYPER.stopped] !== 0) return;
  const factor = clipFactor(hyper, norm);
  for (let i = 0; i < n; i++) {
    const decay = i < decayed ? hyper[HYPER.weightDecay] * x[i] : 0;
    m[i] = hyper[HYPER.momentum] * m[i] + dX[i] * factor + decay;
    x[i] -= hyper[HYPER.learningRate] * m[i];
  }
}

export function lion({ x, dX, m, hyper, norm, n, decayed }: ReferenceArguments<'lion'>): void {
  if (hyper[HYPER.stopped] !== 0) return;
  const lr = hyper[HYPER.learningRate];
  const factor = clipFactor(hyper, norm);
  for (let i = 0; i < n; i++) {
    const g = dX[i] * factor;
    const direction = Math.sign(hyper[HYPER.beta1] * m[i] + hyper[HYPER.oneMinusBeta1] * g);
    const shrunk = i < decayed ? x[i] * (1 - lr * hyper[HYPER.weightDecay]) : x[i];
    x[i] = shrunk - lr * direction;
    m[i] = hyper[HYPER.beta2] * m[i] + hyper[HYPER.oneMinusBeta2] * g;
  }
}

export function muonMomentum({ dX, m, u, hyper, norm, n }: ReferenceArguments<'muonMomentum'>): void {
  if (hyper[HYPER.stopped] !== 0) return;
  const [momentum, rest] = [hyper[HYPER.momentum], hyper[HYPER.oneMinusMomentum]];
  const factor = clipFactor(hyper, norm);
  for (let i = 0; i < n; i++) {
    const g = dX[i] * factor;
    m[i] = momentum * m[i] + rest * g;
    u[i] = rest * g + momentum * m[i];
  }
}

export function normalize({ x, norm, y, n }: ReferenceArguments<'normalize'>): void {
  const length = Math.max(norm[0], 1e-7);
  for (let i = 0; i < n; i++) y[i] = x[i] / length;
}

export function normalizeRows({ x, y, N, C }: ReferenceArguments<'normalizeRows'>): void {
  for (let n = 0; n < N; n++) {
    let squares = 0;
    for (let c = 0; c < C; c++) squares += x[n * C + c] ** 2;
    const length = Math.max(Math.sqrt(squares), 1e-7);
    for (let c = 0; c < C; c++) y[n * C + c] = x[n * C + c] / length;
  }
}

export function normalizeColumns({ x, y, N, C }: ReferenceArguments<'normalizeColumns'>): void {
  for (let c = 0; c < C; c++) {
    let squares = 0;
    for (let n = 0; n < N; n++) squares += x[n * C + c] ** 2;
    const length = Math.max(Math.sqrt(squares), 1e-7);
    for (let n = 0; n < N; n++) y[n * C + c] = x[n * C + c] / length;
  }
}

export function matrixPolynomial(args: ReferenceArguments<'matrixPolynomial'>): void {
  const { a, square, y, M, alpha, beta, gamma } = args;
  for (let i = 0; i < M; i++)
    for (let j = 0; j < M; j++) {
      const at = i * M + j;
      y[at] = beta * a[at] + gamma * square[at] + (i === j ? alpha : 0);
    }
}

export function muonUpdate({ x, o, hyper, n, scale }: ReferenceArguments<'muonUpdate'>): void {
  if (hyper[HYPER.stopped] !== 0) return;
  const rate = hyper[HYPER.matrixLearningRate];
  const kept = 1 - rate * hyper[HYPER.weightDecay];
  for (let i = 0; i < n; i++) x[i] = x[i] * kept - rate * scale * o[i];
}
