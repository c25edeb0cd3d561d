import { describe, expect, test } from 'vitest';
import { stepOf, type Batch } from '../../src/data/batches.ts';
import type { Device } from '../../src/engine/device.ts';
import { createWasmBackend } from '../../src/engine/wasm.ts';
import { whyNoMachineCode } from '../fixtures/machine-code.ts';
import { gpt2Defaults, type Gpt2Config } from '../../src/model/architectures/gpt2.ts';
import { optimizerNames, type OptimizerOptions } from '../../src/train/optimizer.ts';
import { trainingPrograms } from '../../src/train/programs.ts';
import { allParts, SIGNAL_POLL_SECONDS, unlessStopped } from '../../src/polling.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { bytesOfTensors, copiesOf } from '../fixtures/tensors.ts';

const config: Gpt2Config = {
  ...gpt2Defaults,
  vocabSize: 29,
  blockSize: 16,
  nLayer: 2,
  nHead: 2,
  nEmbd: 32,
  dropout: 0.1,
};
const options: OptimizerOptions = {
  optimizer: 'adamw',
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.1,
  momentum: 0.9,
  gradClip: 1,
};
const B = 3;

function batch(seed: number): Batch {
  const ids = Array.from(
    { length: B * (config.blockSize + 1) },
    (_, i) => (i * i * 7 + seed * 13) % config.vocabSize,
  );
  const rows = (from: number) =>
    Int32Array.from({ length: B * config.blockSize }, (_, i) => {
      const row = Math.floor(i / config.blockSize);
      return ids[row * (config.blockSize + 1) + (i % config.blockSize) + from];
    });
  return { inputs: rows(0), targets: rows(1) };
}

function makeTrainer(
  backend: Device,
  changes: Partial<Gpt2Config> = {},
  microBatches = 1,
  { optimizer }: Pick<OptimizerOptions, 'optimizer'> = options,
): Trainer {
  const model = { ...config, ...changes };
  const programs = trainingPrograms({ config: model, batchSize: B, microBatches, optimizer });
  const trainer = new Trainer(backend, programs, { ...options, optimizer }, 42);
  trainer.initialize();
  return trainer;
}

describe('training', () => {
  test.each(optimizerNames)('gives the same bits with any number of threads: %s', async (optimizer) => {
    const runs: Buffer[] = [];
    for (const threads of [1, 2, 5, 20]) {
      const backend = await createWasmBackend({ threads });
      const trainer = makeTrainer(backend, {}, 2, { optimizer });
      for (let step = 0; step < 2; step++) await trainer.step(step, [batch(step), batch(step + 100)], 1e-2);
      runs.push(await bytesOfTensors([...trainer.parameters(), ...trainer.moments()]));
      await backend.close();
    }
    for (const run of runs.slice(1)) expect(run.equals(runs[0])).toBe(true);
  });

  test('gives the same bits whether a gradient is computed at once or in parts', async () => {
    const backend = await createWasmBackend({ threads: 2 });
    const trainer = makeTrainer(backend, {}, 2);
    const gradients = () => copiesOf(trainer.gradients());
    const data = stepOf([batch(0), batch(1)]);
    const whole: number[] = [];
    for (const micro of [0, 1]) whole.push(await trainer.accumulate(3, micro, data, batch(micro)));
    const expected = await gradients();
    for (const seconds of [6.5 * SIGNAL_POLL_SECONDS, undefined]) {
      let polls = 0;
      const poll = (): Promise<boolean> => Promise.resolve(++polls === 0);
      for (const micro of [0, 1]) {
        const parts = trainer.accumulating(3, micro, data, batch(micro), seconds);
        expect(await unlessStopped(parts, poll)).toEqual({ value: whole[micro] });
      }
      expect(await gradients()).toEqual(expected);
      if (seconds !== undefined) expect(polls).toBe(12);
      else expect(polls).toBeGreaterThan(50); // between all instructions
      const stopped = trainer.accumulating(3, 0, data, batch(0), seconds);
      expect(await unlessStopped(stopped, () => Promise.resolve(true))).toBeUndefined();
    }
    await backend.close();
  });

  test('gives the same bits with all engines that use fused multiply-add', async () => {
    const runs: Buffer[] = [];
    const native = whyNoMachineCode() === undefined ? (['avx512'] as const) : [];
    for (const variant of ['revectorize', 'relaxed', ...native] as const) {
      const backend = await createWasmBackend({ threads: 2, variant });
      const trainer = makeTrainer(backend);
      for (let step = 0; step < 5; step++) await trainer.step(step, [batch(step)], 1e-2);
      runs.push(await bytesOfTensors([...trainer.parameters(), ...trainer.moments()]));
      await backend.close();
    }
    for (const run of runs) expect(run.equals(runs[0])).toBe(true);
  });

  test.each([
    ['GPT-2', {}],
    ['post-LN with ReLU', { norm: 'post', activation: 'relu' }],
    ['sinusoidal positions', { positions: 'sinusoidal' }],
  ] as const)('overfits a single batch: %s', async (_name, changes) => {
    const backend = await createWasmBackend({ threads: 2 });
    const trainer = makeTrainer(backend, { ...changes, dropout: 0 });
    const one = batch(1);
    const { loss: first } = await trainer.step(0, [one], 1e-2);
    for (let step = 1; step < 150; step++) await trainer.step(step, [one], 1e-2);
    expect(Math.abs(first - Math.log(config.vocabSize))).toBeLessThan(0.3); // a fresh model guesses
    expect(await trainer.evaluate([one])).toBeLessThan(0.1);
    await backend.close();
  });

  test('dropout acts in training and not in evaluation', async () => {
    const backend = await createWasmBackend({ threads: 1 });
    const trainer = makeTrainer(backend, { dropout: 0.5 });
    const plain = await trainer.evaluate([batch(1)]);
    expect(await trainer.evaluate([batch(1)])).toBe(plain);
    const losses: number[] = [];
    for (const step of [0, 1, 2]) losses.push((await trainer.step(step, [batch(1)], 0)).loss);
    expect(new Set([...losses, plain]).size).toBe(4); // another mask each step
    const again = await makeTrainer(backend, { dropout: 0.5 }).step(0, [batch(1)], 0);
    expect(again.loss).toBe(losses[0]);
    await backend.close();
  });

  test('each micro-batch of a step has its own dropout mask', async () => {
    const backend = await createWasmBackend({ threads: 1 });
    const trainer = makeTrainer(backend, { dropout: 0.5 });
    const { counted } = stepOf([batch(1), batch(1)]);
    const lossOf = (micro: number) => allParts(trainer.differentiating(0, micro, counted, batch(1), 0));
    const [first, second, again] = [await lossOf(0), await lossOf(1), await lossOf(0)];
    expect(second).not.toBe(first);
    expect(again).toBe(first);
    await backend.close();
  });

  test('targets of −1 do not contribute to the loss', async () => {
    const backend = await createWasmBackend({ threads: 1 });
    const trainer = makeTrainer(backend, { dropout: 0 });
    const whole = batch(1);
    const half = {
      inputs: whole.inputs,
      targets: whole.targets.map((t, i) => (i < config.blockSize ? t : -1)),
    };
    const rest = {
      inputs: whole.inputs,
      targets: whole.targets.map((t, i) => (i < config.blockSize ? -1 : t)),
    };
    const [a, b, c] = [
      await trainer.evaluate([half]),
      await trainer.evaluate([rest]),
      await trainer.evaluate([whole]),
    ];
    expect((a + 2 * b) / 3).toBeCloseTo(c, 5);
  });
});
