/** `gpt plan --device webgpu`, where there is a GPU. */
import { afterEach, expect, test } from 'vitest';
import { forecastJson } from '../../src/cli/plan/forecast-json.ts';
import { forecastText } from '../../src/cli/plan/forecast-text.ts';
import { chooseDevice } from '../../src/engine/device-choice.ts';
import { forecastRun } from '../../src/forecast/run-forecast.ts';
import './open-gpu.ts';

afterEach(() => chooseDevice('cpu'));

const model = { corpus: [], nLayer: 1, nHead: 1, nEmbd: 8, blockSize: 8, batchSize: 2, vocabSize: 40 };
const run = { ...model, maxIters: 10 };

test('a plan names the GPU, its limits and rates, and the time of a step', async () => {
  await chooseDevice('webgpu');
  const forecast = await forecastRun(run, { threads: 1 });
  expect(forecast.gpu!.name).toMatch(/^webgpu ./);
  expect(forecast.memoryLimit.who).toBe('the GPU allows');
  const text = forecastText(forecast, [], 1);
  expect(text).toMatch(/gpu +webgpu .*, models of up to [\d.]+ .B with activations/);
  expect(text).toMatch(/GFLOP\/s GEMM; .* GB\/s read bandwidth/);
  expect(text).toMatch(/time here .*\n +[\d,.]+ ms a step/);
  const { gpu, here } = forecastJson(forecast, [], 1);
  expect(gpu!.buffer_bytes).toBeGreaterThanOrEqual(2 ** 27);
  expect(gpu!.launch_seconds).toBeGreaterThan(0);
  expect(here.step_seconds).toBeCloseTo(here.seconds / 10, 9);
});

test('with auto, the faster device is planned for', async () => {
  await chooseDevice('auto');
  expect((await forecastRun(run, { threads: 1 })).gpu).toBeUndefined(); // SwiftShader is a CPU as well, and slower
});
