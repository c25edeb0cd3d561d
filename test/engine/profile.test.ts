import { expect, test } from 'vitest';
import { costOf } from '../../src/engine/cost.ts';
import type { Instruction } from '../../src/engine/instruction.ts';
import { profileOf } from '../../src/engine/profile.ts';
import { createWasmBackend } from '../../src/engine/wasm.ts';

const gemm = (M: number, N: number, K: number, accumulate = false): Instruction => ({
  kernel: 'gemm',
  label: '',
  args: {
    a: { offset: 0, length: M * K },
    b: { offset: 16_384, length: K * N },
    bias: null,
    c: { offset: 32_768, length: M * N, accumulate },
    M,
    N,
    K,
    transA: 0,
    transB: 1,
  },
});
const add: Instruction = {
  kernel: 'add',
  label: '',
  args: {
    a: { offset: 0, length: 1000 },
    b: { offset: 1008, length: 1000 },
    y: { offset: 2016, length: 1000 },
    n: 1000,
  },
};

test('the cost of an instruction follows from its shape', () => {
  expect(costOf(gemm(3, 5, 7))).toEqual({ flops: 2 * 3 * 5 * 7, bytes: 4 * (21 + 35 + 15) });
  expect(costOf(gemm(3, 5, 7, true)).bytes).toBe(4 * (21 + 35 + 2 * 15)); // what is added to is read as well
  expect(costOf(add)).toEqual({ flops: 0, bytes: 12_000 });
});

test.each([1, 3])(
  'a profiled program has the time of each kind of instruction: %i threads',
  async (threads) => {
    const backend = await createWasmBackend({ threads, profile: true });
    backend.reserve(65_536);
    const loaded = backend.load([gemm(96, 96, 96), add, gemm(96, 96, 96), gemm(40, 96, 96)]);
    loaded.submit();
    const since = await loaded.timings!();
    const start = performance.now();
    for (let i = 0; i < 5; i++) loaded.submit();
    loaded.submit(1, 2); // a stretch counts too
    const wall = (performance.now() - start) / 1000;

    const profile = profileOf(await loaded.timings!(), { since });
    const runs = Object.fromEntries(profile.map((kind) => [kind.name, kind.runs]));
    expect(runs).toEqual({ 'gemm 96×96×96 A·Bᵀ': 10, 'gemm 40×96×96 A·Bᵀ': 5, add: 6 });
    const total = profile.reduce((sum, { seconds }) => sum + seconds, 0);
    expect(total).toBeGreaterThan(0);
    expect(total).toBeLessThanOrEqual(wall * 1.01);
    for (const { seconds, waited } of profile) {
      expect(waited).toBeGreaterThanOrEqual(0);
      expect(waited).toBeLessThanOrEqual(seconds);
      if (threads === 1) expect(waited).toBe(0);
    }
    expect(profile.find(({ name }) => name === 'add')?.bytes).toBe(6 * 12_000);
    const kernels = profileOf(await loaded.timings!(), { kindOf: ({ kernel }) => kernel });
    expect(kernels.find(({ name }) => name === 'gemm')?.runs).toBe(18);
    await backend.close();
  },
);

test('without profiling there are no timings', async () => {
  const backend = await createWasmBackend({ threads: 1 });
  expect('timings' in backend.load([add])).toBe(false);
  await backend.close();
});

test('times are counted from zero where another program was before', async () => {
  const backend = await createWasmBackend({ threads: 2, profile: true });
  backend.reserve(65_536);
  backend.load([gemm(96, 96, 96), gemm(40, 96, 96), add, add, add]).submit();
  backend.clear();
  const loaded = backend.load([add]);
  expect(await loaded.timings!()).toEqual([{ instruction: add, runs: 0, seconds: 0, waited: 0 }]);
  await backend.close();
});
