/** What is reported of rates that depend on the size, with a device whose time is counted and does not pass. */
import { afterEach, expect, test, vi } from 'vitest';
import type { Device } from '../../src/engine/device.ts';
import { EngineMemoryError } from '../../src/engine/engine-memory-error.ts';
import type { Instruction } from '../../src/engine/instruction.ts';
import { gemmAtWidths, growingGemm, growingRead, launchSeconds } from '../../src/engine/gpu-rates.ts';

afterEach(() => void vi.restoreAllMocks());

/** A device of `limit` elements whose runs take `secondsOf` an instruction. */
function timedDevice(
  limit: number,
  secondsOf: (args: { M: number; N: number; K: number }) => number,
): Device {
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  return {
    reserve(elements: number) {
      if (elements > limit) throw new EngineMemoryError('too large', { hint: 'smaller' });
    },
    fill: () => {},
    load: (program: readonly Instruction[]) => ({
      submit() {
        for (const { args } of program) now += 1000 * secondsOf(args as { M: number; N: number; K: number });
      },
    }),
    finish: () => Promise.resolve(),
  } as unknown as Device;
}

/** Reads 100 GB/s, and 1,000 GB/s from an L2 of 20 MB. */
const readSeconds = ({ N, K }: { N: number; K: number }): number => {
  const bytes = 4 * N * K;
  return bytes / (bytes < 20e6 ? 1e12 : 1e11);
};

test('bandwidth is that of memory, not of L2', async () => {
  expect(await growingRead(timedDevice(Infinity, readSeconds), 0.1)).toBeCloseTo(1e11, -8);
});

test('the rate of GEMM is the highest', async () => {
  const secondsOf = ({ N }: { N: number }): number => (2 * N ** 3) / (N === 1024 ? 5e12 : 1e12);
  expect(await growingGemm(timedDevice(Infinity, secondsOf), 0.1)).toBeCloseTo(5e12, -10);
});

test('sizes that exceed the memory of the GPU are left out', async () => {
  expect(await growingRead(timedDevice(20e6, readSeconds), 0.1)).toBeCloseTo(1e11, -8);
  expect(
    await growingGemm(
      timedDevice(4e6, ({ N }) => (2 * N ** 3) / 1e12),
      0.1,
    ),
  ).toBeCloseTo(1e12, -10);
  await expect(growingRead(timedDevice(1000, readSeconds), 0.1)).rejects.toThrow('too large');
});

test('each width has a rate of its own, until a product takes long', async () => {
  const seen: number[] = [];
  const secondsOf = ({ M, N, K }: { M: number; N: number; K: number }): number => {
    seen.push(K);
    return (2 * M * N * K) / (1e9 * K);
  };
  const rates = await gemmAtWidths(timedDevice(Infinity, secondsOf), [64, 128, 2048, 4096]);
  expect(Math.max(...seen)).toBe(2048);
  for (const [width, rate] of rates) expect(rate / (1e9 * Math.min(width, 2048))).toBeCloseTo(1, 6);
  expect([...rates.keys()]).toEqual([64, 128, 2048, 4096]);
});

test('the start of a kernel is timed in a program of many', async () => {
  expect(await launchSeconds(timedDevice(Infinity, () => 5e-6))).toBeCloseTo(5e-6, 9);
});
