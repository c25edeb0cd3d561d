import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { forecastRun } from '../../src/forecast/run-forecast.ts';
import { commandsIn, expectRefusal } from './in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'plan-'));
writeFileSync(
  join(folder, 'corpus.txt'),
  'Call me Ishmael. Some years ago, never mind how long.\n'.repeat(60),
);
const at = commandsIn(folder);

interface Plan {
  model: { parameters: number; parts: Record<string, number> };
  training: { steps: number; tokens: number; options: Record<string, unknown> };
  flops: number;
  here: { seconds: number; fits: boolean };
  devices: { name: string; peak_flops: number; years: number; dollars: number; seconds: number }[];
}
const json = async (args: string): Promise<Plan> => {
  const { stdout, stderr, code } = await at(`plan ${args} --json`);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout) as Plan;
};

test('GPT-3 on one V100: about 355 years and $4.6 million, with what that assumes', async () => {
  const { stdout, stderr, code } = await at('plan --preset gpt3-175b --tokens 300e9');
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(stdout).toMatch(/3\.14e23 FLOPs = 6 × 175B parameters × 300B tokens/);
  expect(stdout).toMatch(/V100 +112 TFLOP\/s +25% = 28 +\$1\.50 +355\.\d years +\$4\.\d+ million/);
  expect(stdout).toMatch(/MLP +115,970,015,232 +66\.4%/);
  expect(stdout).toMatch(/too large to train here/);
  expect(stdout).not.toMatch(/undefined|NaN/);
});

test('peak, utilization, price and device count of a plan can be changed', async () => {
  const base = '--preset nano --tokens 300e9';
  const [v100] = (await json(`${base} --device v100`)).devices;
  const [changed] = (await json(`${base} --device v100 --peak 56 --utilization 0.25 --price 3 --devices 10`))
    .devices;
  expect(changed.seconds).toBeCloseTo((v100.seconds * 2) / 10, -3);
  expect(changed.dollars / v100.dollars).toBeCloseTo(4, 6);
  const { devices, flops } = await json(`${base} --peak 1000 --flops-per-parameter 8`);
  expect(devices.map(({ name, peak_flops }) => [name, peak_flops])).toEqual([['yours', 1e15]]);
  expect(flops / (await json(base)).flops).toBeCloseTo(8 / 6, 12);
});

test('a plan warns of options without effect, as train does', async () => {
  const { stderr, code } = await at('plan --preset nano --tokens 1e6 --optimizer sgd --beta1 0.8');
  expect(code).toBe(0);
  expect(stderr).toMatch(/--beta1 .*\bsgd\b/);
});

test('train follows the plan', async () => {
  const flags = 'corpus.txt --n-layer 1 --n-head 2 --n-embd 16 --block-size 16 --max-iters 10';
  const { training, model } = await json(flags);
  const trained = await at(`train ${flags} -q -o run`);
  expect(trained.code).toBe(0);
  const state = JSON.parse(
    readFileSync(join(folder, 'run/checkpoint-10/gpt_trainer_state.json'), 'utf8'),
  ) as {
    options: Record<string, unknown>;
    tokens_seen: number;
  };
  expect(training.tokens).toBe(state.tokens_seen);
  const { nLayer, maxIters, learningRate, batchSize, schedule, evalInterval } = state.options;
  expect(training.options).toMatchObject({
    n_layer: nLayer,
    max_iters: maxIters,
    learning_rate: learningRate,
    batch_size: batchSize,
    schedule,
    eval_interval: evalInterval,
  });
  expect(Object.values(model.parts).reduce((a, b) => a + b)).toBe(model.parameters);
});

test('a plan with --minutes fits the model to the time', async () => {
  const { training, here } = await json('corpus.txt --minutes 0.1');
  expect(training.options).toMatchObject({
    arch: 'qwen3',
    optimizer: 'muon',
    schedule: 'linear',
    n_embd: 64,
  });
  expect(training.steps).toBeGreaterThan(0);
  expect(here.fits).toBe(true);
});

test('the largest model is planned without allocating its memory', async () => {
  const before = process.resourceUsage().maxRSS;
  const { memoryBytes } = await forecastRun({ corpus: [], preset: 'gpt3-175b' }, { threads: 1 });
  expect(memoryBytes).toBeGreaterThan(2.7e12);
  expect(process.resourceUsage().maxRSS - before).toBeLessThan(250_000); // kB
});

test.each([
  ['plan', 'missing-argument', '--preset'],
  ['plan --preset nano --minutes 5', 'missing-argument', '--minutes'],
  ['plan --preset nano --tokens 5 --max-iters 5', 'commander.conflictingOption', '--tokens', '--max-iters'],
  ['plan --preset nano --utilization 2', 'bad-option-value', '--utilization', '"2"'],
])('%s is refused', async (line, errorCode, ...mentioned) => {
  await expectRefusal(line.split(' '), [2, errorCode, ...mentioned], folder);
});
