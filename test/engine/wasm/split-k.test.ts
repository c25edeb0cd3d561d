import { expect, test } from 'vitest';
import type { Instruction } from '../../../src/engine/instruction.ts';
import { Layout } from '../../../src/engine/memory.ts';
import { createWasmBackend } from '../../../src/engine/wasm.ts';

test('split and unsplit products in one program are as on one thread', async () => {
  const [M, N, K] = [50, 40, 1600]; // five blocks of k
  const layout = new Layout();
  const [x, dY, dW, square] = [K * M, K * N, M * N, M * M].map((length) => layout.allocate(length));
  const product = (args: Record<string, unknown>): Instruction =>
    ({ kernel: 'gemm', label: '', args: { bias: null, ...args } }) as unknown as Instruction;
  const split = (accumulate: boolean): Instruction =>
    product({ a: x, b: dY, c: { ...dW, accumulate }, M, N, K, transA: 1, transB: 0 });
  const whole = product({ a: dW, b: dW, c: square, M, N: M, K: N, transA: 0, transB: 1 });
  const program = [split(false), split(true), whole, split(true), whole];

  const results: Buffer[] = [];
  for (const threads of [1, 3]) {
    const device = await createWasmBackend({ threads, activeThreads: () => threads });
    device.reserve(layout.end);
    device.write(
      x.offset,
      new Float32Array(K * M).map((_, i) => Math.sin(i)),
    );
    device.write(
      dY.offset,
      new Float32Array(K * N).map((_, i) => Math.cos(3 * i)),
    );
    const loaded = device.load(program);
    for (let run = 0; run < 20; run++) loaded.submit();
    const read = await Promise.all(
      [dW, square].map(({ offset, length }) => device.read(offset, new Float32Array(length))),
    );
    results.push(Buffer.concat(read.map(({ buffer }) => Buffer.from(buffer))));
    await device.close();
  }
  expect(results[1].equals(results[0])).toBe(true);
  expect(new Float32Array(results[0].buffer, results[0].byteOffset, M * N).some((value) => value !== 0)).toBe(
    true,
  );
});
