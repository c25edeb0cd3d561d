import { expect, test } from 'vitest';
import type { Instruction } from '../../../src/engine/instruction.ts';
import { cutsOf, rangesBetween } from '../../../src/engine/webgpu/command-buffers.ts';

const gemm = (M: number, N: number, K: number): Instruction => ({
  kernel: 'gemm',
  label: '',
  args: {
    a: { offset: 0, length: M * K },
    b: { offset: 0, length: K * N },
    bias: null,
    c: { offset: 0, length: M * N, accumulate: false },
    M,
    N,
    K,
    transA: 0,
    transB: 1,
  },
});

test('a program is cut before half a second is exceeded, and around what takes longer alone', () => {
  const seconds = [0.2, 0.2, 0.2, 0.9, 0.1, 0.4, 0.1];
  const program = seconds.map(() => gemm(1, 1, 1));
  const cuts = cutsOf(program, (instruction) => seconds[program.indexOf(instruction)]);
  expect(cuts).toEqual([2, 3, 4, 6]);
  expect(cutsOf([])).toEqual([]);
});

test('a small program is one command buffer, a large one has command buffers of 5e10 floating-point operations', () => {
  const small = Array.from({ length: 500 }, () => gemm(64, 64, 64));
  expect(cutsOf(small)).toEqual([]);
  const large = Array.from({ length: 40 }, () => gemm(2048, 2048, 1024)); // 8.6e9 each
  const cuts = cutsOf(large);
  const lengths = rangesBetween(0, large.length, cuts).map(([from, to]) => to - from);
  expect(Math.max(...lengths)).toBe(5);
  expect(Math.min(...lengths.slice(0, -1))).toBe(5);
});

test('command buffers cover a range of a program in order', () => {
  expect(rangesBetween(0, 9, [3, 6])).toEqual([
    [0, 3],
    [3, 6],
    [6, 9],
  ]);
  expect(rangesBetween(3, 6, [3, 6])).toEqual([[3, 6]]);
  expect(rangesBetween(4, 8, [3, 6])).toEqual([
    [4, 6],
    [6, 8],
  ]);
});
