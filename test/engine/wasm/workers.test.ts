import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import type { Instruction } from '../../../src/engine/instruction.ts';
import { kernelCases } from '../../../src/engine/kernel-cases.ts';
import type { KernelName } from '../../../src/engine/signatures.ts';
import { resultsOf, tryKernel } from '../../../src/engine/try-kernel.ts';
import { createWasmBackend, type WasmBackend, type WasmOptions } from '../../../src/engine/wasm.ts';
import { memoryLength } from '../../fixtures/memory.ts';

const opened: WasmBackend[] = [];
async function open(options: WasmOptions): Promise<WasmBackend> {
  const backend = await createWasmBackend(options);
  opened.push(backend);
  return backend;
}
afterEach(() => Promise.all(opened.splice(0).map((backend) => backend.close())));

const script = new URL('../../../dist/engine/wasm/worker.js', import.meta.url);
const silent = (): Worker => new Worker('setInterval(() => {}, 1000)', { eval: true });
const failing = (): Worker => {
  throw new Error('EAGAIN: no more threads');
};
/** Makes the n-th worker with the n-th function, the others as usual. */
const sourceOf = (...special: (() => Worker)[]): ((workerData: unknown) => Worker) => {
  let made = 0;
  return (workerData) => special[made++]?.() ?? new Worker(script, { workerData });
};

test('the bits are the same when the number of active threads changes from one program to the next', async () => {
  let turn = 0;
  const counts = [4, 1, 3, 3, 2, 4, 1, 1, 2, 3];
  const one = await open({ threads: 1 });
  const changing = await open({ threads: 4, activeThreads: () => counts[turn++ % counts.length] });
  for (let round = 0; round < 10; round++)
    for (const kernel of Object.keys(kernelCases) as KernelName[]) {
      const kernelCase = kernelCases[kernel](33, 70, 9, round % 2 === 0);
      const [expected, actual] = await Promise.all(
        [one, changing].map((backend) => tryKernel(backend, kernel, kernelCase, false)),
      );
      for (const name of resultsOf(kernel)) {
        const [a, b] = [actual[name], expected[name]].map(({ buffer }) => Buffer.from(buffer));
        expect(a.equals(b), `${kernel} ${name}`).toBe(true);
      }
    }
  expect(turn).toBeGreaterThan(250);
});

test('a worker that cannot be created is left out', async () => {
  const backend = await open({ threads: 3, workers: { create: sourceOf(failing) } });
  expect(backend.threads).toBe(2);
  expect(backend.name).toMatch(/^wasm \w+, 2 threads$/);
  expect(backend.shortfall).toMatch(/1 of 3 .*EAGAIN/);
});

test('a worker that never answers is left out', async () => {
  const backend = await open({ threads: 3, workers: { create: sourceOf(silent), patience: 1500 } });
  expect(backend.threads).toBe(2);
  expect(backend.shortfall).toMatch(/1 of 3 .*1\.5 s/);
});

test('without workers, the main thread runs the same kernels alone', async () => {
  const backend = await open({ threads: 2, workers: { create: failing } });
  expect(backend.name).toMatch(/^wasm \w+, 1 thread$/);
  expect(backend.rejected.filter(({ reason }) => reason.includes('EAGAIN'))).toEqual([]);
});

test('a kernel that traps in a worker ends the run with an error, in the main thread as well', async () => {
  const backend = await open({ threads: 2, activeThreads: () => 2 });
  backend.reserve(1 << 16);
  const end = memoryLength(backend);
  // The first half of x, the main thread's, ends at the end of memory; the worker's half is beyond.
  const n = 4096;
  const add: Instruction = {
    kernel: 'add',
    label: 'out of bounds',
    args: {
      a: { offset: end - n / 2, length: n },
      b: { offset: 0, length: n },
      y: { offset: n, length: n },
      n,
    },
  };
  const program = backend.load([add]);
  const failure: unknown = expect.objectContaining({
    message: 'a kernel failed in a worker thread: RuntimeError: memory access out of bounds',
    stack: expect.stringContaining('wasm-function') as string, // where in the kernels
  });
  expect(() => program.submit()).toThrow(failure);
  expect(() => program.submit()).toThrow(failure); // nothing runs any more
});
