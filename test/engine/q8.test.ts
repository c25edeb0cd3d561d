/** Weights in q8: blocks of 32 numbers in 8 bits. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Device } from '../../src/engine/device.ts';
import type { Fill, KernelCase } from '../../src/engine/kernel-cases.ts';
import { Philox, Stream } from '../../src/engine/philox.ts';
import { fromQ8, Q8_BLOCK, Q8_BLOCK_BYTES, toQ8 } from '../../src/engine/q8.ts';
import { GEMV_ROWS } from '../../src/engine/signatures.ts';
import { tryKernel } from '../../src/engine/try-kernel.ts';
import { createWasmBackend } from '../../src/engine/wasm.ts';
import { backends } from '../fixtures/backends.ts';

function random(length: number, seed: number): Float32Array {
  const philox = new Philox(seed, 0, Stream.gradcheck);
  // Blocks of different magnitudes.
  return Float32Array.from({ length }, (_, i) => philox.normalPair()[0] * 2 ** (((i / Q8_BLOCK) | 0) % 7));
}
const exact = (values: Float32Array): Fill => ({ kind: 'exact', length: values.length, values: [...values] });

describe('the format', () => {
  test('a number moves by at most half a step of its block', () => {
    const x = random(20 * Q8_BLOCK, 1);
    const y = fromQ8(toQ8(x));
    for (let first = 0; first < x.length; first += Q8_BLOCK) {
      const largest = Math.max(...x.subarray(first, first + Q8_BLOCK).map(Math.abs));
      for (let i = first; i < first + Q8_BLOCK; i++)
        expect(Math.abs(x[i] - y[i])).toBeLessThanOrEqual((largest / 127) * 0.500001);
    }
  });

  test('a block is a little-endian float32, then a byte for each number', () => {
    const x = new Float32Array(Q8_BLOCK);
    x.set([127, -127, 1.5, -1.5, 0.4, 0]);
    const bytes = toQ8(x);
    expect(bytes.length).toBe(Q8_BLOCK_BYTES);
    expect([...bytes.subarray(0, 4)]).toEqual([0, 0, 0x80, 0x3f]); // 1
    expect([...new Int8Array(bytes.buffer, 4, 6)]).toEqual([127, -127, 2, -2, 0, 0]);
  });

  test('quantizing a second time changes nothing', () => {
    const once = toQ8(random(8 * Q8_BLOCK, 2));
    expect(fromQ8(toQ8(fromQ8(once)))).toEqual(fromQ8(once));
  });

  test.each([
    ['zeros', 0],
    ['the smallest number', 2 ** -149],
    ['the largest number', 2 ** 128 - 2 ** 104],
  ])('%s', (_name, value) => {
    const x = new Float32Array(Q8_BLOCK).fill(value);
    x[1] = -x[1];
    const y = fromQ8(toQ8(x));
    expect([...y].every(Number.isFinite)).toBe(true);
    expect(y[1]).toBe(0 - y[0]);
    expect(Math.abs(y[0] - value)).toBeLessThanOrEqual(value === 2 ** -149 ? value : value * 1e-6);
  });

  test('refuses a part of a block', () => {
    expect(() => toQ8(new Float32Array(33))).toThrow(RangeError);
  });
});

describe.each(Object.keys(backends))('%s', (name) => {
  let device: Device;
  beforeAll(async () => {
    device = await backends[name]();
  });
  const run = async (kernel: 'gemm' | 'embedding', made: KernelCase, result: string) =>
    (await tryKernel(device, kernel, made, false))[result];

  /** Those that widen the weights: many rows, or rows of [K,N]. */
  test.each([
    [17, 64, 96, 1],
    [40, 130, 416, 1],
    [19, 70, 896, 1],
    [1, 96, 5, 0],
    [3, 2112, 9, 0],
    [2, 2080, 190, 0],
    [33, 160, 40, 0],
  ])(
    'a product of %i×%i×%i (transposed: %i) has the bits of the widened weights',
    async (M, N, K, transB) => {
      const b = random(K * N, 3);
      const made = { a: exact(random(M * K, 4)), bias: null, c: exact(new Float32Array(M * N)), M, N, K };
      const shared = { ...made, transA: 0, transB };
      const wide = await run('gemm', { ...shared, b: exact(fromQ8(toQ8(b))) }, 'c');
      expect(await run('gemm', { ...shared, b: { ...exact(b), storage: 'q8' } }, 'c')).toEqual(wide);
    },
  );

  test('an embedding', async () => {
    const table = random(9 * 64, 5);
    const ids: Fill = { kind: 'exact', length: 3, values: [8, 0, 5] };
    const made = { ids, out: exact(new Float32Array(3 * 64)), N: 3, C: 64 };
    const wide = await run('embedding', { ...made, table: exact(fromQ8(toQ8(table))) }, 'out');
    expect(await run('embedding', { ...made, table: { ...exact(table), storage: 'q8' } }, 'out')).toEqual(
      wide,
    );
  });

  test.each([
    [1, 1, 32],
    [1, 70, 96],
    [2, 33, 320],
    [GEMV_ROWS, 130, 64],
  ])('few rows, %i×%i×%i: within the rounding of A to 16 bits', async (M, N, K) => {
    const [a, stored, bias] = [random(M * K, 6), random(N * K, 7), random(N, 8)];
    const b = fromQ8(toQ8(stored));
    const weights: Fill = { ...exact(stored), storage: 'q8' };
    const made = { b: weights, bias: exact(bias), N, K, transA: 0, transB: 1 };
    const c = await run('gemm', { ...made, a: exact(a), c: exact(new Float32Array(M * N)), M }, 'c');
    for (let m = 0; m < M; m++)
      for (let n = 0; n < N; n++) {
        let [sum, allowed] = [bias[n], 0];
        for (let k = 0; k < K; k++) {
          const block = a.subarray(m * K + k - (k % Q8_BLOCK), m * K + k - (k % Q8_BLOCK) + Q8_BLOCK);
          const [x, w] = [a[m * K + k], b[n * K + k]];
          sum += x * w;
          allowed += Math.abs(w) * (Math.max(...block.map(Math.abs)) * 2 ** -16 + Math.abs(x) * K * 2 ** -24);
        }
        expect(Math.abs(c[m * N + n] - sum)).toBeLessThanOrEqual(allowed + Math.abs(bias[n]) * 2 ** -22);
      }
    // The bits of a row do not depend on the others.
    for (const m of [0, M - 1]) {
      const row = exact(a.subarray(m * K, (m + 1) * K));
      const alone = await run('gemm', { ...made, a: row, c: exact(new Float32Array(N)), M: 1 }, 'c');
      expect(alone).toEqual(c.subarray(m * N, (m + 1) * N));
    }
  });

  test('rows of tiny numbers become 0 or nearly what they are', async () => {
    const b: Fill = { ...exact(random(96, 10)), storage: 'q8' };
    for (const scale of [1e-30, 1e-33, 1e-36, 1e-44]) {
      const a = random(96, 9).map((x) => x * scale);
      const made = { a: exact(a), b, bias: null, c: exact(new Float32Array(1)), M: 1, N: 1, K: 96 };
      const [c] = await run('gemm', { ...made, transA: 0, transB: 1 }, 'c');
      const w = fromQ8(toQ8(random(96, 10)));
      const sum = a.reduce((total, x, k) => total + x * w[k], 0);
      const most = a.reduce((total, x, k) => total + Math.abs(x * w[k]), 0);
      expect(Math.abs(c - sum)).toBeLessThanOrEqual(scale > 1e-35 ? 1e-3 * most : most + 1e-44);
    }
  });

  test('NaN and infinity stay visible', async () => {
    for (const bad of [NaN, Infinity]) {
      const a = random(64, 9);
      a[40] = bad;
      const b: Fill = { ...exact(random(64, 10)), storage: 'q8' };
      const made = { a: exact(a), b, bias: null, c: exact(new Float32Array(1)), M: 1, N: 1, K: 64 };
      const [c] = await run('gemm', { ...made, transA: 0, transB: 1 }, 'c');
      expect(Number.isFinite(c)).toBe(false);
    }
  });
});

test('the bits do not depend on the number of threads', async () => {
  const [M, N, K] = [2, 203, 128];
  const b: Fill = { ...exact(random(N * K, 11)), storage: 'q8' };
  const made = {
    a: exact(random(M * K, 12)),
    b,
    bias: exact(random(N, 13)),
    c: exact(new Float32Array(M * N)),
  };
  const results = [];
  for (const threads of [1, 2, 3]) {
    const device = await createWasmBackend({ threads });
    results.push((await tryKernel(device, 'gemm', { ...made, M, N, K, transA: 0, transB: 1 }, false))['c']);
    await device.close();
  }
  expect(results[1]).toEqual(results[0]);
  expect(results[2]).toEqual(results[0]);
});
