import { expect, test } from 'vitest';
import type { Instruction } from '../../src/engine/instruction.ts';
import { createWasmBackend } from '../../src/engine/wasm.ts';

const attention = (T: number, D: number): Instruction => ({
  kernel: 'attention',
  label: '',
  args: {
    qkv: { offset: 0, length: 3 * T * D },
    rng: { offset: 0, length: 4 },
    out: { offset: 3 * T * D, length: T * D },
    lse: { offset: 4 * T * D, length: T },
    B: 1,
    T,
    H: 1,
    D,
    site: 0,
    threshold: 0,
    scale: 1,
  },
});

test('attention that outgrows the working memory of a thread is refused before it runs', async () => {
  const backend = await createWasmBackend({ threads: 1 });
  backend.load([attention(8192, 64)]);
  expect(() => backend.load([attention(9000, 64)])).toThrow(
    'attention over 9000 positions, with heads of 64 channels, needs 17.4 MB a thread; there are 16.8',
  );
  await backend.close();
});

test('memory beyond what WebAssembly can address is refused, with what to change', async () => {
  const backend = await createWasmBackend({ threads: 1 });
  expect(() => backend.reserve(2 ** 31)).toThrow(
    'this needs 8.59 GB of memory; the engine can address 4.23 GB',
  );
  backend.reserve(2 ** 20); // and the backend still works
  expect(backend.floats.length).toBeGreaterThanOrEqual(2 ** 20);
  await backend.close();
});
