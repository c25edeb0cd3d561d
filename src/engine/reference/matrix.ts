/** Matrix products by their definition. */
import { put, type ReferenceArguments } from './view.ts';

/** GEMM by definition, summed in float64 in both precisions. Strides say how an operand is stored. */
export function gemm({ a, b, bias, c, M, N, K, transA, transB }: ReferenceArguments<'gemm'>): void {
  const [aRow, aColumn] = transA ? [1, M] : [K, 1];
  const [bRow, bColumn] = transB ? [1, K] : [N, 1];
  for (let m = 0; m < M; m++) {
    for (let n = 0; n < N; n++) {
      let sum = bias === null ? 0 : bias[n];
      for (let k = 0; k < K; k++) sum += a[m * aRow + k * aColumn] * b[k * bRow + n * bColumn];
      put(c, m * N + n, sum);
    }
  }
}

/** A product known to be symmetric, as X·Xᵀ is; the fast kernel computes one half. */
export function gemmSymmetric({ a, b, c, M, K, transA, transB }: ReferenceArguments<'gemmSymmetric'>): void {
  const [aRow, aColumn] = transA ? [1, M] : [K, 1];
  const [bRow, bColumn] = transB ? [1, K] : [M, 1];
  for (let m = 0; m < M; m++) {
    for (let n = 0; n <= m; n++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += a[m * aRow + k * aColumn] * b[k * bRow + n * bColumn];
      c[m * M + n] = sum;
      c[n * M + m] = sum;
    }
  }
}

/** The gradient of a bias: Σ over rows of x. */
export function columnSums({ x, sums, M, N }: ReferenceArguments<'columnSums'>): void {
  for (let n = 0; n < N; n++) {
    let sum = 0;
    for (let m = 0; m < M; m++) sum += x[m * N + n];
    put(sums, n, sum);
  }
}

/** Gradients of a linear layer's weight and bias in one kernel, which reads dY once: dW = xᵀ·dY, dBias = Σ over rows of dY. */
export function linearParametersBackward({
  x,
  dY,
  dWeight,
  dBias,
  M,
  N,
  K,
}: ReferenceArguments<'linearParametersBackward'>): void {
  gemm({ a: x, b: dY, bias: null, c: dWeight, M: K, N, K: M, transA: 1, transB: 0 });
  columnSums({ x: dY, sums: dBias, M, N });
}
