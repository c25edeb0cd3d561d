/** Forecasts for a GPU, with a device whose time is counted and does not pass. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { costOf } from '../../src/engine/cost.ts';
import type { Device } from '../../src/engine/device.ts';
import { EngineMemoryError } from '../../src/engine/engine-memory-error.ts';
import type { Instruction } from '../../src/engine/instruction.ts';
import { forecastRun } from '../../src/forecast/run-forecast.ts';
import { referenceModel } from '../../src/train/budget.ts';
import { predictStep } from '../../src/train/predict-step.ts';
import { trainingPrograms } from '../../src/train/programs.ts';

const LIMIT = 2e9;
const [GEMM, BANDWIDTH, LAUNCH] = [1e13, 1e12, 4e-6];

const gpu = vi.hoisted(() => ({ device: undefined as unknown as Device }));
vi.mock('../../src/engine/device-choice.ts', async (original) => ({
  ...(await original<object>()),
  gpuMemoryLimit: () => 2e9,
}));
vi.mock('../../src/engine/backend.ts', () => ({
  lazyBackend: () => ({
    threads: 1,
    open: () => Promise.resolve({ backend: gpu.device, rejected: [] }),
    close: () => Promise.resolve(),
  }),
}));

beforeEach(() => {
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  const secondsOf = (instruction: Instruction): number => {
    const { flops, bytes } = costOf(instruction);
    return Math.max(LAUNCH, flops / GEMM, bytes / BANDWIDTH);
  };
  gpu.device = {
    name: 'webgpu counted',
    reserve(elements: number) {
      if (4 * elements > LIMIT) throw new EngineMemoryError('too large', { hint: 'smaller' });
    },
    fill: () => {},
    write: () => {},
    clear: () => {},
    read: (_: number, into: Float64Array) => Promise.resolve(into),
    load: (program: readonly Instruction[]) => ({
      submit(from = 0, to = program.length) {
        for (const instruction of program.slice(from, to)) now += 1000 * secondsOf(instruction);
      },
    }),
    finish: () => Promise.resolve(),
  } as unknown as Device;
});
afterEach(() => void vi.restoreAllMocks());

const large = { corpus: [], preset: 'gpt2', blockSize: 1024, batchSize: 16, maxIters: 100 } as const;

test('names the GPU, its rates and its memory', async () => {
  const { gpu: found, memoryLimit } = await forecastRun(large, { threads: 1 });
  expect(found!.name).toBe('webgpu counted');
  expect(found!.gemmFlops / GEMM).toBeCloseTo(1, 1);
  expect(found!.readBandwidth / BANDWIDTH).toBeCloseTo(1, 1);
  expect(found!.launchSeconds / LAUNCH).toBeCloseTo(1, 3);
  expect(memoryLimit).toMatchObject({ bytes: LIMIT, who: 'the GPU allows' });
});

test('a model that is too large for its memory is predicted from its rates', async () => {
  const { here, memoryBytes, flops } = await forecastRun(large, { threads: 1 });
  expect(memoryBytes).toBeGreaterThan(LIMIT);
  expect(here.basis).toBe('rates');
  expect(here.seconds).toBeCloseTo(100 * here.stepSeconds, 6);
  expect(here.seconds).toBeGreaterThan(flops / GEMM);
  expect(here.seconds).toBeLessThan((4 * flops) / GEMM);
});

test('a model that fits and is fast is measured', async () => {
  const { here } = await forecastRun({ corpus: [], preset: 'nano', maxIters: 10 }, { threads: 1 });
  expect(here.basis).toBe('this model');
});

test('a kernel takes as long as its products, its memory or its start', () => {
  const programs = trainingPrograms({ ...referenceModel, microBatches: 2 });
  const { forwardBackward, gradientNorm, update } = programs;
  const others = gradientNorm.instructions.length + update.instructions.length;
  const rates = { name: '', gemmFlops: Infinity, readBandwidth: Infinity, launchSeconds: 1 };
  expect(predictStep(rates, programs, 2)).toBe(2 * forwardBackward.instructions.length + others);
  const products = forwardBackward.instructions.map((each) => costOf(each).flops).reduce((a, b) => a + b);
  const bound = predictStep({ ...rates, gemmFlops: 1e9, launchSeconds: 0 }, programs, 1);
  expect(bound).toBeCloseTo(products / 1e9, 9);
  expect(predictStep({ ...rates, readBandwidth: 1e9, launchSeconds: 0 }, programs, 1)).toBeGreaterThan(0);
});
