/** The moving average of the weights, and the choice between it and the weights as the model. */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { readLogs } from '../../src/checkpoint/logs.ts';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { readTrainerState } from '../../src/checkpoint/trainer-state.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import { readRun, summarizeRun } from '../../src/inspect/run-record.ts';
import { parameterTable } from '../../src/model/parameters.ts';
import { hostTensor } from '../../src/model/tensor.ts';
import { stateBytes, trainingPrograms, type TrainingShape } from '../../src/train/programs.ts';
import { afterEvaluation, freshProgress } from '../../src/train/progress.ts';
import { wholePerSample } from '../../src/train/session/time-budget.ts';
import { resolveOptions, type TrainModelOptions } from '../../src/train/settings.ts';
import { trainModel } from '../../src/train/train-model.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { averageRate } from '../../src/train/weight-average.ts';
import { bytesOfTensors } from '../fixtures/tensors.ts';

const root = mkdtempSync(join(tmpdir(), 'weight-average-'));
const at = (name: string): string => join(root, name);
const config = { ...gpt2Defaults, vocabSize: 9, blockSize: 4, nLayer: 1, nHead: 1, nEmbd: 8, dropout: 0 };
const shape: TrainingShape = { config, batchSize: 5, microBatches: 1, optimizer: 'sgd' };

test('the newest weights count 1 − decay, and at first more: the average begins with those after update 1', () => {
  const rates = [1, 2, 3, 19, 20, 1000].map((t) => averageRate(0.7, t));
  expect(rates.map((rate) => Number(rate.toFixed(12)))).toEqual(
    [1, 0.9, Number((9 / 11).toFixed(12)), 1 / 3, 0.321428571429, 0.3].map((x) => Number(x.toFixed(12))),
  );
  expect(averageRate(0.999, 1000)).toBeCloseTo(9 / 1008, 12);
});

describe('the average in a trainer', () => {
  const options = {
    optimizer: 'sgd',
    beta1: 0,
    beta2: 0,
    epsilon: 0,
    weightDecay: 0,
    momentum: 0.9,
    gradClip: 0,
    emaDecay: 0.5,
  } as const;
  const ids = Int32Array.from({ length: 20 }, (_, i) => (i * i) % 9);
  const batch = { inputs: ids, targets: ids.map((id) => (id + 1) % 9) };

  test('has the loss of a model with those weights, to the bit; tensors that are not trained stay what they are', async () => {
    const sinusoidal = {
      ...shape,
      config: { ...config, positions: 'sinusoidal' } as const,
      hasAverage: true,
    };
    const trainer = new Trainer(createReferenceBackend(), trainingPrograms(sinusoidal), options, 1);
    trainer.initialize();
    for (let step = 0; step < 3; step++) await trainer.step(step, [batch], 0.5);
    const lossOf = async (model: Pick<Trainer, 'addingLosses'>): Promise<number> => {
      const total = { sum: 0, count: 0 };
      for await (const _ of model.addingLosses(batch, total, undefined));
      return total.sum / total.count;
    };
    const [own, averaged] = [await lossOf(trainer), await lossOf(trainer.average!)];
    expect(averaged).not.toBe(own);
    const tensors = trainer.average!.parameters();
    const positions = (all: typeof tensors) =>
      bytesOfTensors(all.filter(({ name }) => name.startsWith('wpe')));
    expect(await positions(tensors)).toEqual(await positions(trainer.parameters()));
    for (const [i, tensor] of trainer.parameters().entries())
      tensor.write(await tensors[i].read(new Float32Array(tensor.shape.reduce((a, b) => a * b))));
    expect(await lossOf(trainer)).toBe(averaged);
    trainer.initialize();
    trainer.average!.restart();
    expect(await bytesOfTensors(trainer.average!.parameters())).toEqual(
      await bytesOfTensors(trainer.parameters()),
    );
  });

  test('takes one more block of the size of the model', () => {
    const [without, having] = [shape, { ...shape, hasAverage: true }];
    const block = trainingPrograms(without).model.block.total;
    expect(trainingPrograms(having).end - trainingPrograms(without).end).toBe(block);
    expect(stateBytes(having) / stateBytes(without)).toBeCloseTo(4 / 3, 12);
  });
});

describe('an evaluation', () => {
  const settings = resolveOptions({ corpus: ['x.txt'] });
  const after = (weightsLoss: number, averageLoss: number) =>
    afterEvaluation(
      { ...freshProgress, step: 7, bestLoss: 2 },
      {
        trainLoss: 1,
        validationLoss: Math.min(weightsLoss, averageLoss),
        averaging: { weightsLoss, averageLoss },
      },
      settings,
    );

  test.each([
    [
      'the average, if its loss is lower',
      1.9,
      1.8,
      { bestLoss: 1.8, bestStep: 7, isBestAverage: true, worse: 0 },
    ],
    [
      'the weights, if theirs is lower',
      1.8,
      1.9,
      { bestLoss: 1.8, bestStep: 7, isBestAverage: false, worse: 0 },
    ],
    [
      'the weights, of two that are equal',
      1.8,
      1.8,
      { bestLoss: 1.8, bestStep: 7, isBestAverage: false, worse: 0 },
    ],
    ['none, if both are worse than the best one', 2.2, 2.1, { bestLoss: 2, bestStep: 0, worse: 1 }],
  ])('keeps %s', (_name, weightsLoss, averageLoss, expected) => {
    expect(after(weightsLoss, averageLoss)).toMatchObject(expected);
  });

  test('takes half as long again on equal samples of both splits, which a run with a time limit expects', () => {
    const options = { batchSize: 8, blockSize: 32, evalIters: 2 };
    const tokens = { train: 10_000, validation: 10_000 };
    const [without, having] = [0, 0.9].map((emaDecay) => wholePerSample({ ...options, emaDecay }, tokens));
    expect(without / having).toBeCloseTo(3 / 2, 12);
  });
});

describe('a run', () => {
  const options: TrainModelOptions = {
    corpus: [at('corpus.txt')],
    nLayer: 1,
    nHead: 2,
    nEmbd: 16,
    blockSize: 16,
    batchSize: 2,
    maxIters: 60,
    evalInterval: 6,
    evalIters: 4,
    schedule: 'constant',
    warmupIters: 6,
    learningRate: 0.03,
    threads: 1,
  };
  const [plain, averaged] = ['plain', 'averaged'].map(at);
  const stateAt = (run: string, step: number) =>
    readTrainerState(join(run, `checkpoint-${step}/gpt_trainer_state.json`));
  const weightsOf = (folder: string, file?: string): Float32Array[] => {
    const model = openModelFolder(folder, { file });
    const tensors = parameterTable(model.config).map(hostTensor);
    model.load(tensors);
    return tensors.map(({ data }) => data);
  };

  beforeAll(async () => {
    const words = ['whale', 'sea', 'ship', 'harpoon', 'white', 'man'];
    const text = Array.from({ length: 900 }, (_, i) => words[(i * i + (i >> 3)) % 6]).join(' ');
    writeFileSync(at('corpus.txt'), text);
    await trainModel({ ...options, outDir: plain });
    await trainModel({ ...options, outDir: averaged, emaDecay: 0.95 });
  });

  test('trains the same weights with and without an average', () => {
    expect(weightsOf(join(averaged, 'checkpoint-60'))).toEqual(weightsOf(join(plain, 'checkpoint-60')));
    expect(existsSync(join(plain, 'checkpoint-60/average.safetensors'))).toBe(false);
  });

  test('logs the losses of both; the validation loss is the lower one', () => {
    const { evaluations } = readLogs(averaged);
    expect(evaluations).toHaveLength(10);
    for (const [i, { validationLoss, averaging }] of evaluations.entries()) {
      expect(averaging!.weightsLoss).toBe(readLogs(plain).evaluations[i].validationLoss);
      expect(validationLoss).toBe(Math.min(averaging!.weightsLoss, averaging!.averageLoss));
    }
    expect(readLogs(plain).evaluations[0].averaging).toBeUndefined();
  });

  test('keeps the better of the two as its model, and says which', async () => {
    const best = readLogs(averaged).evaluations.reduce((a, b) =>
      b.validationLoss < a.validationLoss ? b : a,
    );
    expect(best.averaging!.averageLoss).toBeLessThan(best.averaging!.weightsLoss - 0.01);
    const { validation } = summarizeRun(readRun(averaged));
    expect(validation).toMatchObject({ step: best.step, isEstimate: false, isAverage: true });
    expect(validation!.loss).toBeLessThan(summarizeRun(readRun(plain)).validation!.loss);
    expect(summarizeRun(readRun(plain)).validation!.isAverage).toBe(false);
    expect(openModelFolder(averaged).metadata).toMatchObject({ is_average: 'true' });
    expect(stateAt(averaged, 60)).toMatchObject({ best_step: best.step, best_is_average: true });
    expect(readFileSync(join(averaged, 'metrics.jsonl'), 'utf8')).toContain('"best_is_average":true');
    const until = at('until the best evaluation');
    await trainModel({ ...options, outDir: until, emaDecay: 0.95, maxIters: best.step });
    const last = join(until, `checkpoint-${best.step}`);
    expect(weightsOf(averaged)).toEqual(weightsOf(last, 'average.safetensors'));
    expect(weightsOf(averaged)).not.toEqual(weightsOf(last));
  });

  test('of earlier, without an average, starts one when it is resumed with --force, at the weights it has then', async () => {
    const outDir = at('started late');
    await trainModel({ ...options, outDir, maxIters: 12 });
    const resumed = { corpus: [], resume: outDir, force: true, threads: 1 };
    // A learning rate of 0 from here on: the weights stay what they are, and so does their average.
    await trainModel({ ...resumed, emaDecay: 0.9, learningRate: 0, minLr: 0, maxIters: 18 });
    const last = join(outDir, 'checkpoint-18');
    expect(weightsOf(last, 'average.safetensors')).toEqual(weightsOf(last));
    await trainModel({ ...resumed, emaDecay: 0, maxIters: 24 });
    expect(existsSync(join(outDir, 'checkpoint-24/average.safetensors'))).toBe(false);
  });
});
