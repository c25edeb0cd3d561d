/** Whole runs on a GPU: their losses are those of the CPU, and a run may change the device. */
import { cpSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { chooseDevice } from '../../src/engine/device-choice.ts';
import { findAdapter } from '../../src/engine/webgpu-package.ts';
import { WebGpuDevice } from '../../src/engine/webgpu/device.ts';
import type { GpuDevice } from '../../src/engine/webgpu/gpu.ts';
import type { TrainEvent } from '../../src/train/events.ts';
import { buildOf } from '../../src/train/session/kernel-build.ts';
import type { TrainModelOptions } from '../../src/train/settings.ts';
import { trainModel } from '../../src/train/train-model.ts';
import type { RunDescription, TrainHandlers } from '../../src/train/train-handlers.ts';
import { failure } from '../fixtures/failure.ts';
import { bytesOf, differences } from '../fixtures/run-bytes.ts';
import './open-gpu.ts';

const root = mkdtempSync(join(tmpdir(), 'webgpu-'));
const at = (name: string): string => join(root, name);
const words = ['the', 'whale', 'sea', 'ship', 'and', 'of', 'white', 'a', 'harpoon', 'man'];

beforeAll(() => {
  const lines = Array.from(
    { length: 200 },
    (_, i) => `${words[(i * i + 3 * i) % 10]} ${words[(i * 7) % 10]}.\n`,
  );
  writeFileSync(at('corpus.txt'), lines.join(''));
});

afterEach(() => chooseDevice('cpu')); // belongs to the process

const STEPS = 6;
const base: TrainModelOptions = {
  corpus: [at('corpus.txt')],
  nLayer: 1,
  nHead: 2,
  nEmbd: 16,
  blockSize: 16,
  batchSize: 3,
  maxIters: STEPS,
  lrDecayIters: STEPS,
  warmupIters: 2,
  evalInterval: 3,
  evalIters: 1,
  threads: 1,
};

interface Trained {
  readonly losses: readonly number[];
  readonly validationLoss: number;
  readonly run: RunDescription;
}

/** Trains on a device until `until` steps are done. */
async function trainOn(
  device: 'cpu' | 'webgpu',
  options: TrainModelOptions,
  { until, ...handlers }: TrainHandlers & { readonly until?: number } = {},
): Promise<Trained> {
  await chooseDevice(device);
  const losses: number[] = [];
  let done = 0;
  let run: RunDescription | undefined;
  const { validationLoss } = await trainModel(options, {
    ...handlers,
    start: (description) => (run = description),
    event: (event, progress) => {
      handlers.event?.(event, progress);
      if (event.type !== 'step') return;
      losses.push(event.loss);
      done = event.step;
    },
    interrupted: () => until !== undefined && done >= until,
  });
  return { losses, validationLoss: validationLoss!, run: run! };
}

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  actual.forEach((loss, i) => expect(Math.abs(loss / expected[i] - 1), `loss ${i}`).toBeLessThan(2e-4));
}

const architectures: Record<string, Partial<TrainModelOptions>> = {
  'GPT-2, AdamW, dropout': { dropout: 0.2 },
  'GPT-2, Muon, accumulated gradients': { optimizer: 'muon', gradientAccumulationSteps: 2 },
  'Qwen3, AdamW, a document mask': { arch: 'qwen3', nKvHead: 1, documents: 'lines', documentMask: true },
  'Qwen3, Muon, an average of the weights': { arch: 'qwen3', optimizer: 'muon', emaDecay: 0.8 },
};

describe.each(Object.entries(architectures))('%s', (name, changes) => {
  const options = { ...base, ...changes };

  test('trains to the losses of the CPU within rounding, and twice to the same bits', async () => {
    const folders = ['cpu', 'once', 'twice'].map((run) => at(`${name} ${run}`));
    const cpu = await trainOn('cpu', { ...options, outDir: folders[0] });
    const once = await trainOn('webgpu', { ...options, outDir: folders[1] });
    expect(once.run.backend).toMatch(/^webgpu/);
    expectClose([...once.losses, once.validationLoss], [...cpu.losses, cpu.validationLoss]);
    await trainOn('webgpu', { ...options, outDir: folders[2] });
    expect(differences(bytesOf(folders[2]), bytesOf(folders[1]))).toEqual([]);
  });
});

test('a run may start on a CPU, continue on a GPU, and end on a CPU', async () => {
  const options = { ...base, maxIters: 12 };
  const cpu = await trainOn('cpu', { ...options, outDir: at('whole') });
  const folder = at('moved');
  const begin = await trainOn('cpu', { ...options, outDir: folder }, { until: 2 });
  // Steps that a GPU has been given ahead are still computed.
  const middle = await trainOn('webgpu', { ...options, resume: folder }, { until: 4 });
  expect(middle.run.otherEngine).toBe(buildOf(begin.run.backend));
  const end = await trainOn('cpu', { ...options, resume: folder });
  expect(end.run.otherEngine).toBe(middle.run.backend);
  for (const part of [begin, middle, end]) expect(part.losses.length).toBeGreaterThanOrEqual(2);
  const losses = [begin, middle, end].flatMap((part) => part.losses);
  expectClose([...losses, end.validationLoss], [...cpu.losses, cpu.validationLoss]);
});

describe('a GPU that is lost in the middle of a run', () => {
  test('ends it with an error, and its last checkpoint resumes on a CPU', async () => {
    let gpu: GpuDevice | undefined;
    const open = vi.spyOn(WebGpuDevice, 'open').mockImplementationOnce(async () => {
      const adapter = await findAdapter();
      open.mockRestore();
      return WebGpuDevice.open({
        info: adapter.info,
        features: adapter.features,
        limits: adapter.limits,
        requestDevice: async (descriptor) => (gpu = await adapter.requestDevice(descriptor)),
      });
    });
    const folder = at('lost');
    const options = { ...base, saveEvery: 2, threads: 2 }; // an engine that no other test shares
    const lose = (event: TrainEvent): void => {
      if (event.type === 'step' && event.step === 5) gpu!.destroy();
    };
    const lost = trainOn('webgpu', { ...options, outDir: folder }, { event: lose });
    await expect(lost).rejects.toThrow(failure('device-failed', 'lost'));
    cpSync(folder, at('lost copy'), { recursive: true });
    const cpu = await trainOn('cpu', { ...options, outDir: at('never lost') });
    const resumed = await trainOn('cpu', { ...options, resume: folder });
    expect(resumed.run.startStep).toBe(4);
    expectClose([...resumed.losses, resumed.validationLoss], [...cpu.losses.slice(4), cpu.validationLoss]);
  });
});
