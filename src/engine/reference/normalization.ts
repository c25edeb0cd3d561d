/** Softmax, LayerNorm and RMSNorm over rows, with their gradients. Formulas: the ops of the same names in autodiff/ops/. */
import { softmaxInPlace } from '../../softmax.ts';
import { put, type ReferenceArguments } from './view.ts';

export function softmax({ x, y, N, C }: ReferenceArguments<'softmax'>): void {
  const p = new Float64Array(C);
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) p[c] = x[n * C + c];
    softmaxInPlace(p);
    for (let c = 0; c < C; c++) y[n * C + c] = p[c];
  }
}

export function softmaxBackward({ y, dY, dX, N, C }: ReferenceArguments<'softmaxBackward'>): void {
  for (let n = 0; n < N; n++) {
    let dot = 0;
    for (let c = 0; c < C; c++) dot += dY[n * C + c] * y[n * C + c];
    for (let c = 0; c < C; c++) put(dX, n * C + c, y[n * C + c] * (dY[n * C + c] - dot));
  }
}

export function layerNorm({
  x,
  weight,
  bias,
  y,
  mean,
  rstd,
  N,
  C,
  epsilon,
}: ReferenceArguments<'layerNorm'>): void {
  for (let n = 0; n < N; n++) {
    let sum = 0;
    for (let c = 0; c < C; c++) sum += x[n * C + c];
    const mu = sum / C;
    let variance = 0;
    for (let c = 0; c < C; c++) variance += (x[n * C + c] - mu) ** 2 / C;
    const r = 1 / Math.sqrt(variance + epsilon);
    for (let c = 0; c < C; c++) y[n * C + c] = (x[n * C + c] - mu) * r * weight[c] + bias[c];
    mean[n] = mu;
    rstd[n] = r;
  }
}

export function layerNormBackward({
  x,
  weight,
  mean,
  rstd,
  dY,
  dX,
  dWeight,
  dBias,
  N,
  C,
}: ReferenceArguments<'layerNormBackward'>): void {
  const normalized = (n: number, c: number) => (x[n * C + c] - mean[n]) * rstd[n];
  for (let n = 0; n < N; n++) {
    let meanD = 0; // mean of dX̂
    let meanDX = 0; // mean of dX̂·x̂
    for (let c = 0; c < C; c++) {
      const d = dY[n * C + c] * weight[c];
      meanD += d / C;
      meanDX += (d * normalized(n, c)) / C;
    }
    for (let c = 0; c < C; c++)
      put(dX, n * C + c, rstd[n] * (dY[n * C + c] * weight[c] - meanD - normalized(n, c) * meanDX));
  }
  for (let c = 0; c < C; c++) {
    let weightSum = 0;
    let biasSum = 0;
    for (let n = 0; n < N; n++) {
      weightSum += dY[n * C + c] * normalized(n, c);
      biasSum += dY[n * C + c];
    }
    put(dWeight, c, weightSum);
    put(dBias, c, biasSum);
  }
}

export function rmsNorm({ x, weight, y, rstd, N, C, epsilon }: ReferenceArguments<'rmsNorm'>): void {
  for (let n = 0; n < N; n++) {
    let square = 0;
    for (let c = 0; c < C; c++) square += x[n * C + c] ** 2 / C;
    rstd[n] = 1 / Math.sqrt(square + epsilon);
    for (let c = 0; c < C; c++) y[n * C + c] = x[n * C + c] * rstd[n] * weight[c];
  }
}

export function rmsNormBackward({
  x,
  weight,
  rstd,
  dY,
  dX,
  dWeight,
  N,
  C,
}: ReferenceArguments<'rmsNormBackward'>): void {
  const normalized = (n: number, c: number) => x[n * C + c] * rstd[n];
  for (let n = 0; n < N; n++) {
    let meanDX = 0; // mean of dX̂·x̂
    for (let c = 0; c < C; c++) meanDX += (dY[n * C + c] * weight[c] * normalized(n, c)) / C;
    for (let c = 0; c < C; c++)
      put(dX, n * C + c, rstd[n] * (dY[n * C + c] * weight[c] - normalized(n, c) * meanDX));
  }
  for (let c = 0; c < C; c++) {
    let sum = 0;
    for (let n = 0; n < N; n++) sum += dY[n * C + c] * normalized(n, c);
    put(dWeight, c, sum);
  }
}
