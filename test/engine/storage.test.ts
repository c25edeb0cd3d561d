/** Weights in 16 bits: every kernel that reads them gives the bits that it gives with the same numbers in float32. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { Device } from '../../src/engine/device.ts';
import type { KernelCase, Fill } from '../../src/engine/kernel-cases.ts';
import type { HalfStorage } from '../../src/engine/signatures.ts';
import { tryKernel } from '../../src/engine/try-kernel.ts';
import { float16Bits, toBfloat16, toFloat16, widened } from '../../src/half-precision.ts';
import { backends } from '../fixtures/backends.ts';

/** Numbers of a type, from its smallest to large ones. */
function numbers(length: number, storage: HalfStorage): Fill {
  const random = Float32Array.from({ length }, (_, i) => Math.sin(i * i + 1) * 2 ** (-(i % 27) + 3));
  const values = widened(storage === 'bf16' ? toBfloat16(random) : toFloat16(random), storage);
  return { kind: 'exact', length, values: [...values] };
}

const normal = (length: number): Fill => ({ kind: 'normal', length });

/** M, N, K: few rows and many; a matrix within L2 and beyond; whole panels and not; more than one block of k. */
const shapes = [
  [1, 1, 1],
  [1, 19, 21],
  [2, 33, 13],
  [3, 70, 64],
  [7, 130, 40],
  [16, 65, 7],
  [17, 21, 19],
  [40, 150, 400],
  [5, 200, 65],
  [1, 700, 401],
  [1, 2100, 130],
] as const;

describe.each(Object.keys(backends).filter((name) => name !== 'reference float64'))('%s', (name) => {
  let device: Device;
  beforeAll(async () => {
    device = await backends[name]();
  });
  const bits = async (
    kernel: 'gemm' | 'embedding',
    made: KernelCase,
    result: string,
  ): Promise<Uint32Array> => {
    const { [result]: found } = await tryKernel(device, kernel, made, false);
    return new Uint32Array(Float32Array.from(found).buffer);
  };

  test.each(['bf16', 'f16'] as const)(
    'a product with weights in %s',
    async (storage) => {
      for (const [M, N, K] of shapes)
        for (const transB of [0, 1]) {
          const b = numbers(K * N, storage);
          const bias = M % 2 === 0 ? normal(N) : null;
          const made = { a: normal(M * K), b, bias, c: normal(M * N), M, N, K, transA: 0, transB };
          const wide = await bits('gemm', made, 'c');
          const stored = await bits('gemm', { ...made, b: { ...b, storage } }, 'c');
          expect(stored, `${M}×${N}×${K} ${transB ? 'transposed' : ''}`).toEqual(wide);
        }
    },
    60_000,
  );

  test.each(['bf16', 'f16'] as const)('an embedding in %s', async (storage) => {
    for (const C of [1, 6, 8, 33]) {
      const table = numbers(9 * C, storage);
      const ids: Fill = { kind: 'exact', length: 3, values: [8, 0, 5] };
      const made = { ids, table, out: normal(3 * C), N: 3, C };
      const wide = await bits('embedding', made, 'out');
      expect(await bits('embedding', { ...made, table: { ...table, storage } }, 'out')).toEqual(wide);
    }
  });

  test('every float16 is widened exactly', async () => {
    const finite = Array.from({ length: 0x10000 }, (_, half) => half).filter(
      (half) => (half & 0x7c00) !== 0x7c00,
    );
    const values = [...widened(Uint16Array.from(finite), 'f16')];
    const made = {
      ids: { kind: 'exact', length: 1, values: [0] } as Fill,
      table: { kind: 'exact', length: values.length, values, storage: 'f16' } as Fill,
      out: normal(values.length),
      N: 1,
      C: values.length,
    };
    const { out } = await tryKernel(device, 'embedding', made, false);
    expect(out.findIndex((x, i) => !Object.is(x, values[i]))).toBe(-1);
    expect(values.map(float16Bits).findIndex((half, i) => half !== finite[i])).toBe(-1);
  });
});
