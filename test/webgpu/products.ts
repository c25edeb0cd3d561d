/** Products in float16, compared with float64 as closely as rounding allows. */
import { expect } from 'vitest';
import type { Device } from '../../src/engine/device.ts';
import type { Fill, KernelCase } from '../../src/engine/kernel-cases.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { tryKernel } from '../../src/engine/try-kernel.ts';

/** Relative error of a product of two numbers of 11 bits, to which each is rounded. */
const ROUNDING = 2 * 2 ** -11 + 2 ** -22;
/** Error of rounding a number below 2⁻¹⁴. Where subnormal numbers become 0, it is as large as they are. */
const UNDERFLOW = 2 ** -14;

export interface Product {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly transA?: 0 | 1;
  readonly transB?: 0 | 1;
  readonly hasBias?: boolean;
  readonly accumulate?: boolean;
  readonly a?: Partial<Fill>;
  readonly b?: Partial<Fill>;
  /** Magnitudes of a's and b's numbers. */
  readonly sizeA?: number;
  readonly sizeB?: number;
}

/** Numbers in (−1, 1) without a pattern that sums could hide. */
export const numbers = (length: number, size = 1, seed = 0): number[] =>
  Array.from({ length }, (_, i) =>
    Math.fround(size * Math.sin((i + 1 + 7919 * seed) * 12.9898 + i * i * 0.071)),
  );

export function productCase(product: Product): KernelCase & { readonly a: Fill; readonly b: Fill } {
  const { M, N, K, transA = 0, transB = 0, hasBias = false, sizeA = 1, sizeB = 1 } = product;
  const fill = (length: number, size: number, seed: number, more: Partial<Fill> = {}): Fill =>
    ({ kind: 'exact', length, values: numbers(length, size, seed), ...more }) as Fill;
  return {
    a: fill(M * K, sizeA, 1, product.a),
    b: fill(K * N, sizeB, 2, product.b),
    bias: hasBias ? fill(N, 1, 3) : null,
    c: fill(M * N, 1, 4),
    M,
    N,
    K,
    transA,
    transB,
  };
}

/** Of an operand's numbers; those of narrow weights are known to about 1/200. */
const magnitudes = (fill: Fill): number[] =>
  (fill as Fill & { readonly values: readonly number[] }).values.map(
    (x) => Math.abs(x) + (fill.storage === undefined ? 0 : 0.005),
  );

/**
 * Expects the float64 product, each element within the rounding of its terms: those of 11-bit operands, which `exact` ones do not
 * have, and of sums in float32.
 */
export async function expectProduct(device: Device, product: Product, isExact = false): Promise<void> {
  const { M, N, K, transA = 0, transB = 0, accumulate = false } = product;
  const made = productCase(product);
  const { c } = await tryKernel(device, 'gemm', made, accumulate);
  const oracle = createReferenceBackend('float64');
  const { c: expected } = await tryKernel(oracle, 'gemm', made, accumulate);
  const [a, b] = [made.a, made.b].map(magnitudes);
  const unscaled = ({ averagedOver }: Fill): number =>
    averagedOver === undefined ? 1 : 1 / (16 * averagedOver);
  const [lostA, lostB] = [UNDERFLOW * unscaled(made.a), UNDERFLOW * unscaled(made.b)];
  for (let m = 0; m < M; m++)
    for (let n = 0; n < N; n++) {
      let bound = 4e-7;
      for (let k = 0; k < K; k++) {
        const [x, y] = [a[transA ? k * M + m : m * K + k], b[transB ? n * K + k : k * N + n]];
        const relative = (isExact ? 0 : ROUNDING) + K * 2 ** -23;
        bound += relative * x * y;
        if (!isExact) bound += (x < lostA ? x * y : 0) + (y < lostB ? x * y : 0);
      }
      const i = m * N + n;
      if (!(Math.abs(c[i] - expected[i]) <= bound))
        expect.fail(`c[${m},${n}] is ${c[i]}, not ${expected[i]} ± ${bound}, of ${JSON.stringify(product)}`);
    }
}
