/** The loss of a step is the mean over its counted targets, and its gradient an ordered sum over its micro-batches. */
import { describe, expect, test } from 'vitest';
import { stepOf, type Batch, type StepData } from '../../src/data/batches.ts';
import type { Device } from '../../src/engine/device.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { createWasmBackend } from '../../src/engine/wasm.ts';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import { allParts } from '../../src/polling.ts';
import { train } from '../../src/train/loop.ts';
import type { TrainEvent } from '../../src/train/events.ts';
import type { OptimizerName } from '../../src/train/optimizer.ts';
import { trainingPrograms } from '../../src/train/programs.ts';
import { resolveOptions } from '../../src/train/settings.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { backends } from '../fixtures/backends.ts';
import { golden, relativeError } from '../fixtures/golden.ts';
import { failure } from '../fixtures/failure.ts';
import { copiesOf, numbersOf, writeTensors } from '../fixtures/tensors.ts';

const T = 8;
const shape = { ...gpt2Defaults, vocabSize: 23, blockSize: T, nLayer: 2, nHead: 2, nEmbd: 20 };

interface Setup {
  readonly B?: number;
  readonly microBatches?: number;
  readonly dropout?: number;
  readonly optimizer?: OptimizerName;
}

function trainerOn(backend: Device, { B = 2, microBatches = 1, dropout = 0, optimizer = 'adamw' }: Setup) {
  const programs = trainingPrograms({ config: { ...shape, dropout }, batchSize: B, microBatches, optimizer });
  const moments = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, momentum: 0.9 };
  const trainer = new Trainer(backend, programs, { ...moments, optimizer, weightDecay: 0.1, gradClip: 1 }, 7);
  trainer.initialize();
  return trainer;
}

/** Row `row` of the data: T tokens, and those of its targets that count where `counts` says so. */
function rowOf(row: number, counts: (t: number) => boolean): { inputs: number[]; targets: number[] } {
  const token = (t: number): number => (row * row * 5 + t * t * 3 + t) % shape.vocabSize;
  const positions = Array.from({ length: T }, (_, t) => t);
  return { inputs: positions.map(token), targets: positions.map((t) => (counts(t) ? token(t + 1) : -1)) };
}
const batchOf = (rows: readonly ReturnType<typeof rowOf>[]): Batch => ({
  inputs: Int32Array.from(rows.flatMap(({ inputs }) => inputs)),
  targets: Int32Array.from(rows.flatMap(({ targets }) => targets)),
});
/** Rows whose masks differ: of every 8 targets 8, 1, 0, 0, 3, 4, 8, 2, … count. */
const masks = [8, 1, 0, 0, 3, 4, 8, 2, 5, 8, 1, 1].map((count) => (t: number) => (t * 5) % T < count);
const rows = masks.map((counts, row) => rowOf(row, counts));
/** As micro-batches of two rows. The second counts no target. */
const microBatches = Array.from({ length: rows.length / 2 }, (_, i) => batchOf(rows.slice(2 * i, 2 * i + 2)));

const state = (trainer: Trainer) => copiesOf([...trainer.parameters(), ...trainer.moments()]);

/** The gradient of a step as one process computes it. */
async function gradientOf(trainer: Trainer, batches: readonly Batch[]) {
  const data = stepOf(batches);
  for (const [micro, batch] of batches.entries()) await trainer.accumulate(0, micro, data, batch);
  return copiesOf(trainer.gradients());
}

describe('the loss of a step is the mean over its counted targets', () => {
  test.each([
    ['reference float64', () => Promise.resolve(createReferenceBackend('float64')), 1e-12],
    ['wasm', () => createWasmBackend({ threads: 2 }), 2e-6],
  ] as const)('so that micro-batches give the gradient of one batch: %s', async (_, make, tolerance) => {
    const [apart, together] = [await make(), await make()];
    const found = trainerOn(apart, { microBatches: microBatches.length });
    const expected = trainerOn(together, { B: rows.length });
    const one = await expected.step(0, [batchOf(rows)], 0);
    const many = await found.step(0, microBatches, 0);
    expect(Math.abs(many.loss / one.loss - 1)).toBeLessThan(1e-6);
    expect(Math.abs(many.gradNorm / one.gradNorm - 1)).toBeLessThan(1e-6);
    const gradients = await copiesOf(expected.gradients());
    (await copiesOf(found.gradients())).forEach(({ name, data }, i) =>
      expect(relativeError(data, gradients[i].data), name).toBeLessThan(tolerance),
    );
    await Promise.all([apart.close(), together.close()]);
  });

  test('also in evaluation, however the targets are distributed over batches', async () => {
    const backend = await createWasmBackend({ threads: 1 });
    const apart = await trainerOn(backend, {}).evaluate(microBatches);
    const whole = await trainerOn(backend, { B: rows.length }).evaluate([batchOf(rows)]);
    expect(apart).toBeCloseTo(whole, 6);
    await backend.close();
  });

  const cases = Object.entries(backends).flatMap(([name, make]) => [
    { name, make, labelSmoothing: 0, gradients: golden.masked.gradients },
    { name, make, ...golden.smoothed },
  ]);
  test.each(cases)('as PyTorch computes it: $name, label smoothing $labelSmoothing', async (each) => {
    const { name, make, labelSmoothing, gradients } = each;
    const { model, masked } = golden;
    const config = { ...gpt2Defaults, ...model.config, dropout: 0 };
    const { batchSize } = model;
    const steps = { config, batchSize, microBatches: 3, optimizer: 'sgd', labelSmoothing } as const;
    const none = { beta1: 0, beta2: 0, epsilon: 0, momentum: 0, weightDecay: 0, gradClip: 0 };
    const backend = await make();
    const trainer = new Trainer(backend, trainingPrograms(steps), { ...none, optimizer: 'sgd' }, 1);
    writeTensors(trainer.parameters(), model.parameters);
    const batches = masked.targets.map((targets, i) => ({
      inputs: Int32Array.from(model.ids[i]),
      targets: Int32Array.from(targets),
    }));
    const exact = name === 'reference float64';
    // With label smoothing too, losses are plain cross-entropies.
    expect(Math.abs((await trainer.evaluate(batches)) / masked.loss - 1)).toBeLessThan(exact ? 1e-9 : 1e-6);
    const { loss } = await trainer.step(0, batches, 0);
    expect(Math.abs(loss / masked.loss - 1)).toBeLessThan(1e-6);
    for (const { name: parameter, data } of await copiesOf(trainer.gradients()))
      expect(relativeError(data, gradients[parameter]), parameter).toBeLessThan(exact ? 1e-8 : 1e-5);
  });

  test('a micro-batch without a counted target adds nothing', async () => {
    const backend = await createWasmBackend({ threads: 1 });
    const [a, empty, b] = [microBatches[0], microBatches[1], microBatches[2]];
    const without = await gradientOf(trainerOn(backend, { microBatches: 2 }), [a, b]);
    expect(await gradientOf(trainerOn(backend, { microBatches: 3 }), [a, empty, b])).toEqual(without);
    expect(without.some(({ data }) => data.some((x) => x !== 0))).toBe(true);
    await backend.close();
  });

  test.each(['adamw', 'sgd'] as const)(
    'a step without a counted target changes nothing: %s',
    async (optimizer) => {
      const backend = await createWasmBackend({ threads: 1 });
      const trainer = trainerOn(backend, { optimizer });
      await trainer.step(0, [microBatches[0]], 1e-2); // moments that would move the parameters
      const before = await state(trainer);
      expect(await trainer.step(1, [microBatches[1]], 1e-2)).toEqual({ loss: NaN, gradNorm: 0 });
      expect(await state(trainer)).toEqual(before);
      await backend.close();
    },
  );

  test('the training loop skips steps without a counted target, and does not treat them as divergence', async () => {
    const backend = await createWasmBackend({ threads: 1 });
    const trainer = trainerOn(backend, {});
    const isEmpty = (step: number): boolean => step >= 2 && step < 9;
    const settings = resolveOptions({
      corpus: [],
      maxIters: 12,
      evalInterval: 0,
      saveEvery: 0,
      schedule: 'constant',
      learningRate: 1e-2,
      warmupIters: 0,
    });
    const events: TrainEvent[] = [];
    const data = {
      stepData: (step: number): StepData => stepOf([microBatches[isEmpty(step) ? 1 : 0]]),
      trainSample: () => microBatches,
      validationSample: () => microBatches,
      wholeValidation: undefined,
    };
    const sinks = [(event: TrainEvent) => void events.push(event)];
    const { reason } = await train({ trainer, data, sinks }, settings);
    expect(reason).toBe('finished');
    const steps = events.filter((event) => event.type === 'step');
    expect(steps.map(({ skipped }) => skipped)).toEqual(
      steps.map((_, step) => (isEmpty(step) ? 'no counted target' : undefined)),
    );
    expect(events.at(-1)).toMatchObject({ progress: { step: 12, updates: 5, health: { skipped: 0 } } });
    for (const { data: numbers } of await state(trainer)) expect(numbers.every(Number.isFinite)).toBe(true);
    await expect(
      train({ trainer, data: { ...data, validationSample: () => [microBatches[1]] }, sinks: [] }, settings),
    ).rejects.toThrow(failure('text-too-short'));
    await backend.close();
  });
});

describe("a step's gradient is an ordered sum", () => {
  /** ordered-sum.ts says: a tree, split at the largest power of two below the number of terms. */
  function treeSum(terms: readonly Float32Array[]): Float32Array {
    if (terms.length === 1) return terms[0];
    const middle = 2 ** Math.ceil(Math.log2(terms.length) - 1);
    const [left, right] = [treeSum(terms.slice(0, middle)), treeSum(terms.slice(middle))];
    return left.map((x, i) => x + right[i]);
  }
  const flat = async (trainer: Trainer): Promise<Float32Array> =>
    Float32Array.from(await numbersOf(trainer.gradients()));

  test.each([1, 2, 3, 4, 5, 6])(
    'of %i micro-batches, whose gradients separate trainers compute in any order',
    async (k) => {
      const batches = microBatches.slice(0, k);
      const data = stepOf(batches);
      const one = await createWasmBackend({ threads: 2 });
      const whole = trainerOn(one, { microBatches: k, dropout: 0.1 });
      const sums: number[] = [];
      for (const [micro, batch] of batches.entries())
        sums.push(await whole.accumulate(5, micro, data, batch));

      const terms: Float32Array[] = [];
      for (const micro of Array.from(batches.keys()).toReversed()) {
        const other = await createWasmBackend({ threads: 1 });
        const trainer = trainerOn(other, { dropout: 0.1 });
        const parts = trainer.differentiating(5, micro, data.counted, batches[micro], 0);
        expect(await allParts(parts)).toBe(sums[micro]);
        terms[micro] = await flat(trainer);
        await other.close();
      }
      expect(await flat(whole)).toEqual(treeSum(terms));
      await one.close();
    },
  );
});
