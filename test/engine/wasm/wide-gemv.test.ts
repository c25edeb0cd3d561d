import { expect, test } from 'vitest';
import type { Instruction } from '../../../src/engine/instruction.ts';
import { Layout } from '../../../src/engine/memory.ts';
import { createWasmBackend } from '../../../src/engine/wasm.ts';

test.each([1, 2])(
  'GEMV sums blocks of columns if all do not fit in the scratch memory, on %i threads',
  async (threads) => {
    const [M, N, K] = [2, 800_003, 9];
    const a = new Float32Array(M * K).map((_, i) => (i % 5) - 2);
    const b = new Float32Array(K * N).map((_, i) => (i % 11) - 5);
    const bias = new Float32Array(N).map((_, n) => n % 3);
    // Small integers, so every order of summation gives the same result.
    const expected = new Float32Array(M * N).map((_, i) => {
      const [m, n] = [Math.floor(i / N), i % N];
      let sum = bias[n];
      for (let k = 0; k < K; k++) sum += a[m * K + k] * b[k * N + n];
      return sum;
    });

    const layout = new Layout();
    const operands = { a, b, bias, c: new Float32Array(M * N) };
    const regions = Object.fromEntries(
      Object.entries(operands).map(([name, { length }]) => [name, layout.allocate(length)]),
    );
    const device = await createWasmBackend({ threads });
    device.reserve(layout.end);
    for (const [name, numbers] of Object.entries(operands)) device.write(regions[name].offset, numbers);
    const args = { ...regions, M, N, K, transA: 0, transB: 0 };
    device.load([{ kernel: 'gemm', args, label: 'wide' } as unknown as Instruction]).submit();
    const c = await device.read(regions['c'].offset, new Float32Array(M * N));
    await device.close();
    expect(c.findIndex((x, i) => x !== expected[i])).toBe(-1);
  },
);
