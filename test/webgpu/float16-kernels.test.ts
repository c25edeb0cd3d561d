/** GEMM with float16 operands. */
import { assert, asyncProperty, boolean, constantFrom } from 'fast-check';
import { expect, test } from 'vitest';
import { AWKWARD, kernelCases } from '../../src/engine/kernel-cases.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { compareKernel, tryKernel } from '../../src/engine/try-kernel.ts';
import { CANDIDATES, tileName, type Tile, type Tiles } from '../../src/engine/webgpu/tiles.ts';
import { float16Bits, widened } from '../../src/half-precision.ts';
import { borrowHalfGpu, withFloat16 } from './half-gpu.ts';
import { expectProduct, numbers, productCase, type Product } from './products.ts';

const size = constantFrom(...AWKWARD);
const everywhere = (tile: Tile): Tiles => ({ small: tile, medium: tile, large: tile, huge: tile });
/** Numbers of 11 bits. */
const halves = (length: number, seed: number): number[] => [
  ...widened(Uint16Array.from(numbers(length, 1, seed), float16Bits), 'f16'),
];
/** Tokens of a step, and a gradient of their mean loss: 1e-7 and less. */
const TOKENS = 4096;
const gradient = { averagedOver: TOKENS };

withFloat16('a GEMM in float16', () => {
  test('agrees with float64 within the rounding of 11 bits, on any shape, inside its buffers', async () => {
    const gpu = await borrowHalfGpu();
    await assert(
      asyncProperty(size, size, size, boolean(), boolean(), boolean(), async (M, N, K, a, b, hasBias) => {
        const product = {
          M,
          N,
          K,
          transA: a ? 1 : 0,
          transB: b ? 1 : 0,
          hasBias,
          accumulate: a !== b,
        } as const;
        await expectProduct(gpu, product);
      }),
      { numRuns: 40, seed: 20261129 },
    );
  });

  test.each([0, 1] as const)(
    'of numbers of 11 bits has the sums of float32; transposed: %i',
    async (trans) => {
      const [M, N, K] = [33, 34, 129];
      const exact: Product = {
        M,
        N,
        K,
        transA: trans,
        transB: trans === 1 ? 0 : 1,
        hasBias: true,
        a: { kind: 'exact', values: halves(M * K, 5) },
        b: { kind: 'exact', values: halves(K * N, 6) },
      };
      await expectProduct(await borrowHalfGpu(), exact, true);
    },
  );

  test('of weights in each narrow type', async () => {
    for (const storage of ['f16', 'bf16', 'q8'] as const)
      await expectProduct(await borrowHalfGpu(), { M: 33, N: 32, K: 64, b: { storage }, hasBias: true });
  });

  test('of a long K is summed in slices', async () => {
    await expectProduct(await borrowHalfGpu(), { M: 32, N: 33, K: 600, hasBias: true, accumulate: true });
  });

  test('has the same bits in any tile', async () => {
    const gpu = await borrowHalfGpu();
    const product = productCase({ M: 130, N: 131, K: 37, hasBias: true });
    const { c: expected } = await tryKernel(gpu, 'gemm', product, false);
    for (const tile of CANDIDATES.filter((_, i) => i % 5 === 1)) {
      gpu.tiles = everywhere(tile);
      const { c } = await tryKernel(gpu, 'gemm', product, false);
      expect([...c], tileName(tile)).toEqual([...expected]);
    }
  });

  test('saturates beyond the range of float16, and keeps what is not finite visible', async () => {
    const gpu = await borrowHalfGpu();
    const a = numbers(20 * 3).map(() => 1);
    [a[0], a[3], a[6], a[9], a[12]] = [1e30, -1e6, NaN, Infinity, -Infinity];
    const product = { M: 20, N: 2, K: 3, a: { kind: 'exact', values: a } as const };
    const b = { kind: 'exact', values: [1, 1, 0, 0, 0, 0] } as const;
    const { c } = await tryKernel(gpu, 'gemm', productCase({ ...product, b }), false);
    expect(Array.from(c.slice(0, 4))).toEqual([65_504, 65_504, -65_504, -65_504]);
    for (let i = 4; i < 10; i++) expect(Number.isFinite(c[i]), `element ${i}`).toBe(false);
    expect(c[10]).toBe(1);
  });

  test('with few rows, as in decoding, is computed in float32', async () => {
    const gpu = await borrowHalfGpu();
    const oracle = createReferenceBackend('float64');
    const product = productCase({ M: 3, N: 40, K: 70, transB: 1 });
    expect(await compareKernel([gpu, oracle], 'gemm', product, false)).toBeUndefined();
  });

  test('that is symmetric, as in Muon, is computed in float32', async () => {
    const gpu = await borrowHalfGpu();
    const oracle = createReferenceBackend('float64');
    const product = kernelCases.gemmSymmetric(65, 1, 33, true);
    expect(await compareKernel([gpu, oracle], 'gemmSymmetric', product, false)).toBeUndefined();
  });
});

withFloat16('a gradient in float16', () => {
  const tiny = 1e-7;
  /** The three products of a linear layer that read a gradient. */
  const products: Record<string, Product> = {
    'dX = dY·Wᵀ': { M: 40, N: 33, K: 50, transB: 1, sizeA: tiny, a: gradient },
    'dW = xᵀ·dY': { M: 33, N: 50, K: 40, transA: 1, sizeB: tiny, b: gradient },
    'dWᵀ = dYᵀ·x': { M: 33, N: 50, K: 40, transA: 1, sizeA: tiny, a: gradient },
  };

  test.each(Object.entries(products))('that is tiny does not vanish: %s', async (_name, product) => {
    const gpu = await borrowHalfGpu();
    // The other operand is large enough for the result to be compared.
    const larger = product.a === undefined ? { sizeA: 1000 } : { sizeB: 1000 };
    await expectProduct(gpu, { ...product, ...larger });
    const made = productCase({ ...product, ...larger });
    const { c: expected } = await tryKernel(createReferenceBackend('float64'), 'gemm', made, false);
    const { c } = await tryKernel(gpu, 'gemm', made, false);
    const length = (x: Float64Array): number => Math.hypot(...x);
    expect(length(c.map((x, i) => x - expected[i])) / length(expected)).toBeLessThan(2 ** -10);
    // What the scale is for: without it, numbers of a thousandth of that size are 0.
    const unmarked = { ...product, ...larger, a: {}, b: {} };
    const lost = product.a === undefined ? { sizeB: tiny / 100 } : { sizeA: tiny / 100 };
    const none = await tryKernel(gpu, 'gemm', productCase({ ...unmarked, ...lost }), false);
    expect([...new Set(none['c'])].map(Math.abs)).toEqual([0]);
  });

  test('that is tiny gives a weight its gradient in one kernel with the bias', async () => {
    const gpu = await borrowHalfGpu();
    const made = kernelCases.linearParametersBackward(600, 33, 32, false);
    const dY = { kind: 'exact', length: 600 * 33, values: numbers(600 * 33, 1e-7), ...gradient } as const;
    const results = [];
    for (const device of [gpu, createReferenceBackend('float64')])
      results.push(await tryKernel(device, 'linearParametersBackward', { ...made, dY }, false));
    const [actual, expected] = results;
    for (const name of ['dWeight', 'dBias']) {
      const length = (x: Float64Array): number => Math.hypot(...x);
      const difference = actual[name].map((x, i) => x - expected[name][i]);
      expect(length(difference) / length(expected[name]), name).toBeLessThan(2 ** -10);
    }
  });

  test('of logits keeps the rows of rare tokens: probabilities from 0.1 down to 3e-7', async () => {
    const gpu = await borrowHalfGpu();
    const [N, V, C] = [40, 50, 33]; // tokens, vocabulary, channels
    const probability = (v: number): number => 0.1 * 3e-6 ** (v / (V - 1));
    const dLogits = Array.from({ length: N * V }, (_, i) =>
      Math.fround(((1 + 0.3 * Math.sin(i)) * probability(i % V)) / TOKENS),
    );
    const a = { kind: 'exact', values: dLogits, averagedOver: TOKENS } as const;
    const product: Product = { M: V, N: C, K: N, transA: 1, sizeB: 1000 };
    const worstRow = async (more: object): Promise<number> => {
      const made = productCase({ ...product, a: { ...a, ...more } });
      const { c } = await tryKernel(gpu, 'gemm', made, false);
      const { c: expected } = await tryKernel(createReferenceBackend('float64'), 'gemm', made, false);
      const rows = Array.from({ length: V }, (_, v) => {
        const row = expected.subarray(v * C, (v + 1) * C);
        const difference = row.map((x, i) => c[v * C + i] - x);
        return Math.hypot(...difference) / Math.hypot(...row);
      });
      return Math.max(...rows);
    };
    expect(await worstRow({ isOfLogits: true })).toBeLessThan(2 ** -10);
    expect(await worstRow({})).toBeGreaterThan(2 ** -10); // of any other gradient
  });

  test('that is as large as a diverging one saturates, and does not become infinite', async () => {
    const gpu = await borrowHalfGpu();
    const values = numbers(20 * 4).map(() => 1e9);
    const product = productCase({ M: 20, N: 3, K: 4, a: { kind: 'exact', values, ...gradient } });
    const { c } = await tryKernel(gpu, 'gemm', product, false);
    expect([...c].every(Number.isFinite)).toBe(true);
  });
});
