import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { builds } from '../../../src/engine/wasm.ts';
import { MAX_THREADS } from '../../../src/engine/wasm/address-space.ts';

const cores = availableParallelism();

/**
 * Runs programs on more threads than there are cores, which therefore sleep at once, and on another number of them each time,
 * so that the main thread waits for the workers to leave the program before.
 */
const script = `
const { createWasmBackend } = await import(${JSON.stringify(new URL('../../../dist/engine/wasm.js', import.meta.url))});
let turn = 0;
const activeThreads = () => ${cores} + 1 + (turn++ % 2);
const backend = await createWasmBackend({ threads: ${cores} + 2, activeThreads });
backend.reserve(4096);
const [a, b, y] = [0, 1024, 2048].map((offset) => ({ offset, length: 1000 }));
backend.write(0, new Float32Array(1000).fill(1));
backend.write(1024, new Float32Array(1000).fill(2));
const add = { kernel: 'add', label: '', args: { a, b, y, n: 1000 } };
const program = backend.load([add, add, add, add]);
for (let i = 0; i < 500; i++) program.submit();
const sums = await backend.read(2048, new Float32Array(1000));
await backend.close();
process.stdout.write(String(sums.every((x) => x === 3)));
`;

// In a process of its own, since a main thread that sleeps for ever cannot be interrupted.
test.skipIf(cores + 2 > MAX_THREADS)(
  'threads that sleep in every program finish all of them, in code of the baseline compiler',
  async () => {
    const args = ['--liftoff-only', '--input-type=module', '--eval', script];
    const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 50_000 });
    expect(stdout).toBe('true');
  },
);

/** Opcodes of WebAssembly, with the operand sizes of 32-bit words. */
const [WAIT, ADD] = [Buffer.from([0xfe, 0x01, 0x02, 0x00]), 0x6a];

test.each(builds)('in the build %s, every wait is an operand of the sum that Node 20 needs', (build) => {
  const code = readFileSync(new URL(`../../../dist/kernels/${build}.wasm`, import.meta.url));
  let waits = 0;
  for (let at = code.indexOf(WAIT); at >= 0; at = code.indexOf(WAIT, at + 1)) {
    waits++;
    expect(code[at + WAIT.length]).toBe(ADD);
  }
  expect(waits).toBeGreaterThan(0);
});
