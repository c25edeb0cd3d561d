/** The model of a run with a time limit on a GPU, with a device whose time is counted and does not pass. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import { lazyBackend } from '../../src/engine/backend.ts';
import type { Device } from '../../src/engine/device.ts';
import type { Instruction } from '../../src/engine/instruction.ts';
import { fitToBudget, usualModel } from '../../src/train/budget.ts';
import { chooseModel } from '../../src/train/choose-model.ts';
import { gpuCompute, kernelsOfStep } from '../../src/train/gpu-compute.ts';
import { trainingPrograms } from '../../src/train/programs.ts';
import { modelConfig, resolveOptions } from '../../src/train/settings.ts';
import { tokenizers } from '../../src/tokenizer/registry.ts';
import { DelayedDevice } from '../fixtures/delayed-device.ts';

const limit = vi.hoisted(() => ({ gpu: undefined as number | undefined }));
vi.mock('../../src/engine/device-choice.ts', async (original) => ({
  ...(await original<object>()),
  gpuMemoryLimit: () => limit.gpu,
}));
afterEach(() => {
  limit.gpu = undefined;
  vi.restoreAllMocks();
});

/** A GPU that computes `flops` floating-point operations a second and starts a kernel in `launch` seconds. */
function gpuOf(flops: number, launch: number): Device {
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  const secondsOf = ({ kernel, args }: Instruction): number =>
    launch + (kernel === 'gemm' ? (2 * args.M * args.N * args.K) / flops : 0);
  return {
    reserve: () => {},
    fill: () => {},
    clear: () => {},
    load: (program: readonly Instruction[]) => ({
      submit() {
        for (const instruction of program) now += 1000 * secondsOf(instruction);
      },
    }),
    finish: () => Promise.resolve(),
  } as unknown as Device;
}

const facts = { trainTokens: 2e7, vocabSize: 65 };
const chosenOn = async (flops: number, launch: number, minutes = 3) =>
  chooseModel(facts, await gpuCompute(gpuOf(flops, launch), 60 * minutes));

describe('the model', () => {
  test('is the same on GPUs of a kind, however they are measured', async () => {
    const expected = await chosenOn(4 ** 22, 4 ** -9);
    for (const noise of [0.7, 0.9, 1.2, 1.5])
      expect(await chosenOn(noise * 4 ** 22, noise * 4 ** -9)).toEqual(expected);
  });

  test('grows with the rate of the GPU', async () => {
    const widths: number[] = [];
    for (const flops of [1e10, 1e11, 1e12, 1e13]) widths.push((await chosenOn(flops, 4e-6)).nEmbd);
    expect(widths).toEqual(widths.toSorted((a, b) => a - b));
    expect(widths[3]).toBeGreaterThanOrEqual(4 * widths[0]);
  });

  test('is smaller where kernels take long to start, which a CPU does not pay for', async () => {
    const [fast, slow] = [await chosenOn(1e13, 1e-6), await chosenOn(1e13, 1e-3)];
    expect(slow.nEmbd * slow.nLayer).toBeLessThan(fast.nEmbd * fast.nLayer);
  });
});

test('ranks have as many GPUs, and each starts all kernels of a step', async () => {
  const settings = resolveOptions({ corpus: [], arch: 'qwen3', nLayer: 4, nHead: 4, nEmbd: 128 });
  const config = modelConfig(settings, 65);
  const compute = async (ranks?: number) => (await gpuCompute(gpuOf(1e12, 4e-6), 60, ranks))(config, 'muon');
  const one = await compute();
  expect(await compute(4)).toEqual({ flops: 4 * one.flops, flopsPerStep: 4 * one.flopsPerStep });
});

test.each([
  ['muon', 2, 64],
  ['muon', 6, 192],
  ['adamw', 4, 128],
] as const)('the kernels of a step are counted: %s, %d layers', (optimizer, nLayer, nEmbd) => {
  const settings = resolveOptions({ corpus: [], arch: 'qwen3', optimizer, nLayer, nHead: nLayer, nEmbd });
  const config = modelConfig(settings, 65);
  const { muonScale } = settings;
  const programs = trainingPrograms({ config, batchSize: 1, microBatches: 1, optimizer, muonScale });
  const { forwardBackward, gradientNorm, update } = programs;
  const all = [forwardBackward, gradientNorm, update].flatMap(({ instructions }) => instructions).length;
  expect(Math.abs(kernelsOfStep(config, optimizer) / all - 1)).toBeLessThan(0.05);
});

const builder = tokenizers.char.vocabulary({ minFrequency: 1, maxSize: Infinity });
builder.push('the whale');
const data = {
  tokenizer: builder.end(),
  train: { length: 300, slice: () => [] },
  validation: { length: 50, slice: () => [] },
};

test('a run is fitted to the GPU where that is the chosen device, and to the CPU otherwise', async () => {
  const device = new DelayedDevice();
  const load = vi.spyOn(device, 'load');
  const engine = {
    ...lazyBackend({ threads: 1 }),
    open: () => Promise.resolve({ backend: device, rejected: [] }),
  };
  const fit = async () => {
    load.mockClear();
    await fitToBudget({ corpus: ['a.txt'], minutes: 1 }, data, { seconds: 60, engine, calibration: 0.01 });
    return load.mock.calls.some(([[first]]) => first?.label === 'measure');
  };
  limit.gpu = 4e9;
  expect(await fit()).toBe(true);
  limit.gpu = undefined;
  expect(await fit()).toBe(false);
});

test('--device auto measures the model that a CPU would be given for the time, unless options name one', () => {
  const options = { corpus: ['a.txt'] };
  const long = usualModel(
    { ...options, minutes: 30 },
    { ...data, train: { length: 1e7, slice: () => [] } },
    8,
  );
  expect(long).toMatchObject({ arch: 'qwen3', optimizer: 'muon' });
  expect(long).not.toHaveProperty('minutes');
  expect(long!.nEmbd).toBeGreaterThan(128);
  expect(usualModel({ ...options, preset: 'nano', minutes: 1 }, data, 8)).toBeUndefined();
  expect(usualModel({ ...options, maxIters: 10 }, data, 8)).toBeUndefined();
});
