import { expect, test } from 'vitest';
import { lazyBackend } from '../../src/engine/backend.ts';
import type { Instruction } from '../../src/engine/instruction.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { createWasmBackend } from '../../src/engine/wasm.ts';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import { measureSpeed } from '../../src/train/timed-training.ts';
import { memoryLength, readMemory, writeMemory } from '../fixtures/memory.ts';
import { failure } from '../fixtures/failure.ts';

const attention = (T: number, D: number): Instruction => ({
  kernel: 'attention',
  label: '',
  args: {
    q: { offset: 0, length: T * D },
    k: { offset: T * D, length: T * D },
    v: { offset: 2 * T * D, length: T * D },
    starts: null,
    rng: { offset: 0, length: 4 },
    out: { offset: 3 * T * D, length: T * D },
    lse: { offset: 4 * T * D, length: T },
    B: 1,
    T,
    H: 1,
    G: 1,
    D,
    qStride: D,
    kStride: D,
    vStride: D,
    site: 0,
    threshold: 0,
    scale: 1,
  },
});

test('attention that needs more scratch memory than a thread has is refused before it runs', async () => {
  const backend = await createWasmBackend({ threads: 1 });
  backend.load([attention(8192, 64)]);
  expect(() => backend.load([attention(12_000, 64)])).toThrow(
    failure('out-of-memory', '12000', '64', '17.0', '16.8'),
  );
  await backend.close();
});

test('memory beyond what WebAssembly can address is refused', async () => {
  const backend = await createWasmBackend({ threads: 1 });
  expect(() => backend.reserve(2 ** 31)).toThrow(failure('out-of-memory', '8.59', '4.24'));
  backend.reserve(2 ** 20); // and the backend still works
  expect(memoryLength(backend)).toBeGreaterThanOrEqual(2 ** 20);
  await backend.close();
});

test('a cleared backend is like new: memory is zero, and programs run', async () => {
  for (const backend of [await createWasmBackend({ threads: 2 }), createReferenceBackend()]) {
    backend.reserve(6);
    backend.load([attention(1, 1)]).submit();
    const whole = { offset: 0, length: memoryLength(backend), dtype: 'f32' } as const;
    await writeMemory(backend, whole, new Float32Array(whole.length).fill(1));
    backend.clear();
    expect((await readMemory(backend, whole)).every((x) => x === 0)).toBe(true);
    await writeMemory(backend, whole, [1, 1, 7]);
    backend.load([attention(1, 1)]).submit();
    expect(await readMemory(backend, { offset: 3, length: 1 })).toEqual(Float64Array.of(7)); // the only value to attend to
    await backend.close();
  }
});

test('measuring training speed leaves no second engine memory behind', async () => {
  const engine = lazyBackend({ threads: 2 });
  const config = { ...gpt2Defaults, nLayer: 1, nHead: 1, nEmbd: 16, blockSize: 8, vocabSize: 10, dropout: 0 };
  const { backend } = await engine.open();
  const speed = await measureSpeed({ config, batchSize: 2, optimizer: 'adamw' }, engine, 0.01);
  expect(speed.stepSeconds).toBeGreaterThan(0);
  expect((await engine.open()).backend).toBe(backend);
  const left = await readMemory(backend, { offset: 0, length: memoryLength(backend) });
  expect(left.every((x) => x === 0)).toBe(true);
  await engine.close();
});
