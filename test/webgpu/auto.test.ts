/** `--device auto`, where there is a GPU. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { openFaster } from '../../src/engine/backend.ts';
import { chooseDevice, gpuMemoryLimit, isDeviceUndecided } from '../../src/engine/device-choice.ts';
import type { Device } from '../../src/engine/device.ts';
import { EngineMemoryError } from '../../src/engine/engine-memory-error.ts';
import { generationSeconds } from '../../src/measure/models.ts';
import type { TrainModelOptions } from '../../src/train/settings.ts';
import { trainModel } from '../../src/train/train-model.ts';
import { tinyConfig } from '../generate/tiny-model.ts';
import './open-gpu.ts';

const root = mkdtempSync(join(tmpdir(), 'auto-'));
const corpus = join(root, 'corpus.txt');
writeFileSync(corpus, 'the whale, the white whale, and the sea.\n'.repeat(6));
const model = { nLayer: 1, nHead: 1, nEmbd: 8, blockSize: 8, batchSize: 2 };
const options: TrainModelOptions = { corpus: [corpus], ...model, maxIters: 4, evalIters: 1, threads: 1 };

afterEach(() => chooseDevice('cpu'));

const isGpu = ({ name }: Device): boolean => name.startsWith('webgpu');

test('the device that takes less time is chosen for all programs from then on', async () => {
  for (const gpuSeconds of [1, 3]) {
    await chooseDevice('auto');
    expect(isDeviceUndecided()).toBe(true);
    const { backend } = await openFaster({ threads: 1 }, (device) =>
      Promise.resolve(isGpu(device) ? gpuSeconds : 2),
    );
    expect(isGpu(backend)).toBe(gpuSeconds === 1);
    expect(gpuMemoryLimit() !== undefined).toBe(gpuSeconds === 1);
    expect(isDeviceUndecided()).toBe(false);
    await backend.close();
  }
});

test('a device whose memory a model exceeds is not chosen', async () => {
  await chooseDevice('auto');
  const tooLarge = new EngineMemoryError('too large', { hint: 'smaller' });
  const { backend } = await openFaster({ threads: 1 }, (device) =>
    isGpu(device) ? Promise.resolve(9) : Promise.reject(tooLarge),
  );
  expect(isGpu(backend)).toBe(true);
  await backend.close();
});

test('training measures its own model; a resumed run keeps its device without measuring', async () => {
  await chooseDevice('auto');
  const used: string[] = [];
  let measurements = 0;
  const handlers = {
    start: (run: { readonly backend: string }) => used.push(run.backend),
    measuring: () => void measurements++,
  };
  await trainModel({ ...options, outDir: join(root, 'measured') }, handlers);
  expect(used.pop()).toMatch(/^wasm/); // SwiftShader is a CPU as well, and slower
  expect(measurements).toBe(1);
  await chooseDevice('webgpu');
  const outDir = join(root, 'resumed');
  let done = 0;
  await trainModel(
    { ...options, outDir },
    { event: (event) => void (event.type === 'step' && (done = event.step)), interrupted: () => done === 2 },
  );
  await chooseDevice('auto');
  // The engines of one thread are not those of the test that loses a GPU.
  await trainModel({ corpus: [corpus], resume: outDir, threads: 1 }, handlers);
  expect(used.pop()).toMatch(/^webgpu/);
  expect(measurements).toBe(1);
});

test('the speed of generation is measured on both, and the faster is chosen', async () => {
  await chooseDevice('auto');
  const times: Record<string, number> = {};
  const measured = { config: tinyConfig, storageOf: () => 'f32' as const };
  const { backend, rejected } = await openFaster({ threads: 1 }, async (device) => {
    const seconds = await generationSeconds(device, measured, 0.05);
    times[isGpu(device) ? 'webgpu' : 'cpu'] = seconds;
    return seconds;
  });
  expect(Object.keys(times)).toEqual(['cpu', 'webgpu']);
  const [cpu, gpu] = Object.values(times);
  expect(cpu).toBeGreaterThan(0);
  expect(gpu).toBeGreaterThan(0);
  expect(isGpu(backend)).toBe(gpu < cpu);
  expect(rejected.filter(({ variant }) => variant === 'webgpu')).toEqual([]);
  await backend.close();
});
