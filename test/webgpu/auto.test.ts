/** `--device auto`, where there is a GPU. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { openFaster } from '../../src/engine/backend.ts';
import {
  chooseDevice,
  gpuMemoryLimit,
  isDeviceUndecided,
  leaveDeviceToRun,
} from '../../src/engine/device-choice.ts';
import type { Device } from '../../src/engine/device.ts';
import { EngineMemoryError } from '../../src/engine/engine-memory-error.ts';
import { findAdapter } from '../../src/engine/webgpu-package.ts';
import { FLOAT16 } from '../../src/engine/webgpu/gpu.ts';
import { generationSeconds } from '../../src/measure/models.ts';
import { referenceModel } from '../../src/train/budget.ts';
import { timedStep } from '../../src/train/timed-training.ts';
import type { TrainModelOptions } from '../../src/train/settings.ts';
import type { TrainHandlers } from '../../src/train/train-handlers.ts';
import { trainModel } from '../../src/train/train-model.ts';
import { trainOn } from '../fixtures/train-on-ranks.ts';
import { tinyConfig } from '../generate/tiny-model.ts';
import './open-gpu.ts';

const root = mkdtempSync(join(tmpdir(), 'auto-'));
const corpus = join(root, 'corpus.txt');
writeFileSync(corpus, 'the whale, the white whale, and the sea.\n'.repeat(6));
const model = { nLayer: 1, nHead: 1, nEmbd: 8, blockSize: 8, batchSize: 2 };
const options: TrainModelOptions = { corpus: [corpus], ...model, maxIters: 4, evalIters: 1, threads: 1 };

afterEach(() => chooseDevice('cpu'));

const hasFloat16 = (await findAdapter()).features.has(FLOAT16);
const isGpu = ({ name }: Device): boolean => name.startsWith('webgpu');

test('the device that takes less time is chosen for all programs from then on', async () => {
  for (const gpuSeconds of [1, 3]) {
    await chooseDevice('auto');
    expect(isDeviceUndecided()).toBe(true);
    const { backend } = await openFaster(
      { threads: 1 },
      { name: 'work', measure: (device) => Promise.resolve(isGpu(device) ? gpuSeconds : 2) },
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
  const { backend } = await openFaster(
    { threads: 1 },
    {
      name: 'work',
      measure: (device) => (isGpu(device) ? Promise.resolve(9) : Promise.reject(tooLarge)),
    },
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

test('a run that names no device keeps the GPU on which it was trained', async () => {
  await chooseDevice('webgpu');
  const outDir = join(root, 'kept');
  const used: string[] = [];
  const handlers = { start: (run: { readonly backend: string }) => void used.push(run.backend) };
  await trainModel({ ...options, outDir }, handlers);
  await leaveDeviceToRun();
  await trainModel({ corpus: [corpus], resume: outDir, maxIters: 5, threads: 1 }, handlers);
  await chooseDevice('cpu');
  await trainModel({ corpus: [corpus], resume: outDir, maxIters: 6, threads: 1 }, handlers);
  await leaveDeviceToRun();
  await trainModel({ corpus: [corpus], resume: outDir, maxIters: 7, threads: 1 }, handlers);
  expect(used.map((name) => name.split(' ')[0])).toEqual(['webgpu', 'webgpu', 'wasm', 'wasm']);
});

test.skipIf(hasFloat16)(
  'a run that fell back to float32 is resumed in it, on ranks too, unless float16 is asked for on that GPU',
  async () => {
    const outDir = join(root, 'fallen');
    const found: unknown[] = [];
    const handlers: TrainHandlers = {
      start: ({ backend, rejected }) =>
        void found.push([backend.split(' ')[0], rejected.map(({ what }) => what)]),
    };
    const resume = { corpus: [corpus], resume: outDir, threads: 1 };
    const half = { matmulPrecision: 'float16' } as const;
    await chooseDevice('webgpu');
    await trainModel({ ...options, gradientAccumulationSteps: 2, outDir });
    await chooseDevice('auto');
    await trainModel({ ...resume, ...half, maxIters: 5 }, handlers);
    await leaveDeviceToRun();
    await trainModel({ ...resume, maxIters: 6 }, handlers);
    await leaveDeviceToRun();
    await trainOn(2, { ...resume, maxIters: 7 }, handlers);
    await chooseDevice('webgpu');
    await trainModel({ ...resume, maxIters: 8 }, handlers);
    expect(found).toEqual(Array.from({ length: 4 }, () => ['webgpu', ['float16']]));
    await expect(trainModel({ ...resume, ...half, maxIters: 9 })).rejects.toThrow('no float16 arithmetic');
  },
);

test.skipIf(process.env['GPT_TEST_GPU'])(
  'an emulated GPU is given up without a step of a usual model',
  async () => {
    await chooseDevice('auto');
    const { measure, ...step } = timedStep(referenceModel, 0.1);
    const measured: boolean[] = [];
    const { backend, rejected } = await openFaster(
      { threads: 1 },
      {
        ...step,
        measure: (device) => {
          measured.push(isGpu(device));
          return measure(device);
        },
      },
    );
    expect(measured).toEqual([false]);
    expect(rejected.at(-1)).toEqual({
      what: 'webgpu',
      reason: expect.stringMatching(/^a step would take about .*, and .* on the CPU$/),
    });
    await backend.close();
  },
);

test('the speed of generation is measured on both, and the faster is chosen', async () => {
  await chooseDevice('auto');
  const times: Record<string, number> = {};
  const measured = { config: tinyConfig, storageOf: () => 'f32' as const };
  const { backend, rejected } = await openFaster(
    { threads: 1 },
    {
      name: 'a short text',
      measure: async (device) => {
        const seconds = await generationSeconds(device, measured, 0.05);
        times[isGpu(device) ? 'webgpu' : 'cpu'] = seconds;
        return seconds;
      },
    },
  );
  expect(Object.keys(times)).toEqual(['cpu', 'webgpu']);
  const [cpu, gpu] = Object.values(times);
  expect(cpu).toBeGreaterThan(0);
  expect(gpu).toBeGreaterThan(0);
  expect(isGpu(backend)).toBe(gpu < cpu);
  const slower = isGpu(backend) ? 'cpu' : 'webgpu';
  expect(rejected.find(({ what }) => what === slower)?.reason).toMatch(
    /^a short text takes .*, and .* on the [CG]PU$/,
  );
  await backend.close();
});
