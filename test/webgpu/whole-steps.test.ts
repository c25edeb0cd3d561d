/** Steps that a GPU decides on by itself: the bits of steps whose loss and norm the host has seen, and updates that stop. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { stepOf, type Batch } from '../../src/data/batches.ts';
import { openGpu } from '../../src/engine/backend.ts';
import type { Device } from '../../src/engine/device.ts';
import { tryKernel } from '../../src/engine/try-kernel.ts';
import { kernelCases } from '../../src/engine/kernel-cases.ts';
import type { OptimizerName } from '../../src/train/optimizer.ts';
import { trainingPrograms } from '../../src/train/programs.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { bytesOfTensors } from '../fixtures/tensors.ts';
import { tinyConfig } from '../generate/tiny-model.ts';
import './open-gpu.ts';

let device: Device;
beforeAll(async () => {
  device = await openGpu();
});
afterAll(() => device.close());

function newTrainer(optimizer: OptimizerName): Trainer {
  device.clear();
  const shape = { config: tinyConfig, batchSize: 2, microBatches: 2, optimizer, hasAverage: true };
  const numbers = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1, momentum: 0.9, gradClip: 1 };
  const trainer = new Trainer(device, trainingPrograms(shape), { ...numbers, optimizer, emaDecay: 0.5 }, 1);
  trainer.initialize();
  return trainer;
}
const { blockSize, vocabSize } = tinyConfig;
const batchOf = (seed: number): Batch => {
  const row = Array.from({ length: 2 * blockSize + 1 }, (_, i) => (seed + i * i) % vocabSize);
  return { inputs: Int32Array.from(row.slice(0, -1)), targets: Int32Array.from(row.slice(1)) };
};
const batchesOf = (step: number): Batch[] => [batchOf(step), batchOf(step + 5)];
const whole = (step: number, lossLimit = Infinity) => ({
  step,
  data: stepOf(batchesOf(step)),
  updates: step,
  learningRate: 0.01,
  matrixLearningRate: 0.02,
  lossLimit,
});
const stateOf = (trainer: Trainer) =>
  bytesOfTensors([...trainer.parameters(), ...trainer.moments(), ...trainer.average!.parameters()]);

describe.each(['adamw', 'sgd', 'lion', 'muon'] as const)('%s', (optimizer) => {
  test('has the bits of steps that are waited for', async () => {
    const one = newTrainer(optimizer);
    const results: object[] = [];
    for (const step of [0, 1, 2]) {
      results.push({ ...(await one.step(step, batchesOf(step), 0.01, 0.02)), isStopped: false });
    }
    const state = await stateOf(one);
    const ahead = newTrainer(optimizer);
    expect(await Promise.all([0, 1, 2].map((step) => ahead.submitWhole(whole(step))))).toEqual(results);
    expect((await stateOf(ahead)).equals(state)).toBe(true);
  });

  test('changes nothing from a step on that has too large a loss or is not finite', async () => {
    const trainer = newTrainer(optimizer);
    await trainer.submitWhole(whole(0));
    const before = await stateOf(trainer);
    const two = [trainer.submitWhole(whole(1, 0.5)), trainer.submitWhole(whole(2))];
    expect((await Promise.all(two)).map(({ isStopped }) => isStopped)).toEqual([true, true]);
    expect((await stateOf(trainer)).equals(before)).toBe(true);
    trainer.allowUpdates();
    expect(await trainer.submitWhole(whole(1))).toMatchObject({ isStopped: false });
    expect((await stateOf(trainer)).equals(before)).toBe(false);
    trainer.parameters()[2].write(Float32Array.of(NaN));
    const broken = await stateOf(trainer);
    expect(await trainer.submitWhole(whole(2))).toMatchObject({ loss: NaN, isStopped: true });
    expect((await stateOf(trainer)).equals(broken)).toBe(true);
  });
});

test.each([NaN, Infinity, -Infinity])('a norm of %s stops the updates', async (norm) => {
  device.clear();
  const good = kernelCases.checkStep(5, 1, 1, false);
  const verdictOf = async (value: number) => {
    const found = { ...good, norm: { length: 1, kind: 'exact', values: [value] } as const };
    return (await tryKernel(device, 'checkStep', found, false))['verdict'][1];
  };
  expect(await verdictOf(3)).toBe(0);
  expect(await verdictOf(norm)).toBe(1);
});
