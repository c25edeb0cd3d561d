/** Steps that are submitted to a device with a queue before the results of earlier ones are known change no bit and no decision. */
import { array, assert, double, integer, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stepOf, type Batch } from '../../src/data/batches.ts';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import { afterStep, faultOf, freshHealth, lossWithoutSpike } from '../../src/train/divergence.ts';
import type { TrainEvent } from '../../src/train/events.ts';
import { train, type LoopParts } from '../../src/train/loop.ts';
import { freshProgress } from '../../src/train/progress.ts';
import { trainingPrograms } from '../../src/train/programs.ts';
import { localClock } from '../../src/train/session/run-clock.ts';
import { resolveOptions } from '../../src/train/settings.ts';
import { localWork } from '../../src/train/step-work.ts';
import { Trainer } from '../../src/train/trainer.ts';
import { DelayedDevice } from '../fixtures/delayed-device.ts';
import { bytesOfTensors } from '../fixtures/tensors.ts';

const config = {
  ...gpt2Defaults,
  nLayer: 1,
  nHead: 2,
  nEmbd: 8,
  blockSize: 6,
  vocabSize: 7,
  dropout: 0.1,
};
/** Rows that count upwards, which are soon learned, or downwards. */
function batchOf(step: number, micro: number, direction = 1): Batch {
  const tokenAt = (i: number): number =>
    (100 * config.vocabSize + 3 * step + micro + direction * i) % config.vocabSize;
  const row = Array.from({ length: 13 }, (_, i) => tokenAt(i));
  return { inputs: Int32Array.from(row.slice(0, 12)), targets: Int32Array.from(row.slice(1)) };
}
const nothingCounts = (batch: Batch): Batch => ({ ...batch, targets: batch.targets.map(() => -1) });

interface Run {
  /** Called when a step is computed or submitted, in the order of the device's commands. */
  readonly prepare?: (step: number, trainer: Trainer) => void;
  readonly batch?: (step: number, micro: number) => Batch;
  readonly options?: object;
  readonly clock?: LoopParts['clock'];
  readonly optimizer?: 'adamw' | 'muon';
}

/** Trains; `mostPending` is the largest number of steps that were on their way at a time. */
async function trained(isAhead: boolean, { prepare, batch = batchOf, options, clock, optimizer }: Run = {}) {
  const settings = resolveOptions({
    corpus: [],
    maxIters: 40,
    evalInterval: 15,
    warmupIters: 2,
    learningRate: 0.03,
    saveEvery: 7,
    optimizer: optimizer ?? 'adamw',
    ...options,
  });
  const shape = { config, batchSize: 2, microBatches: 3, optimizer: optimizer ?? 'adamw', hasAverage: true };
  const hyper = { beta1: 0.9, beta2: 0.99, epsilon: 1e-8, weightDecay: 0.1, momentum: 0.9, gradClip: 1 };
  const device = new DelayedDevice();
  const trainer = new Trainer(
    device,
    trainingPrograms(shape),
    { ...hyper, optimizer: optimizer ?? 'adamw', emaDecay: 0.9 },
    1,
  );
  trainer.initialize();
  const local = localWork(trainer);
  let pending = 0;
  let mostPending = 0;
  const ahead = local.ahead && {
    ...local.ahead,
    isWhole: trainer.isWhole.bind(trainer),
    allowUpdates: trainer.allowUpdates.bind(trainer),
    submitWhole: (step: Parameters<Trainer['submitWhole']>[0]) => {
      mostPending = Math.max(mostPending, ++pending);
      return trainer.submitWhole(step).finally(() => pending--);
    },
  };
  const state = () =>
    bytesOfTensors([...trainer.parameters(), ...trainer.moments(), ...trainer.average!.parameters()]);
  const events: object[] = [];
  const states = new Map<string, Buffer>();
  const sink = async (event: TrainEvent): Promise<void> => {
    events.push({ ...event, seconds: 0 });
    const isState = event.type === 'step' ? !isAhead : event.type !== 'rollback';
    if (isState)
      states.set(`${event.type} ${'step' in event ? event.step : event.progress.step}`, await state());
  };
  await train(
    {
      trainer,
      work: { ...local, ahead: isAhead ? ahead : undefined },
      data: {
        stepData(step) {
          prepare?.(step, trainer);
          return stepOf([0, 1, 2].map((micro) => batch(step, micro)));
        },
        trainSample: () => [batchOf(0, 0)],
        validationSample: () => [batchOf(1, 0)],
        wholeValidation: undefined,
      },
      sinks: [sink],
      ...(clock && { clock }),
      restore() {
        trainer.initialize();
        return freshProgress;
      },
    },
    settings,
  );
  return { events, states, mostPending, final: await state() };
}

async function expectSame(run: Run = {}) {
  const [one, ahead] = [await trained(false, run), await trained(true, run)];
  expect(one.mostPending).toBe(0);
  expect(ahead.mostPending).toBe(3);
  expect(ahead.events).toEqual(one.events);
  expect(ahead.final.equals(one.final)).toBe(true);
  for (const [name, bytes] of ahead.states) expect(bytes.equals(one.states.get(name)!), name).toBe(true);
  return one.events as TrainEvent[];
}
const skippedOf = (events: readonly TrainEvent[]) =>
  events.flatMap((event) => (event.type === 'step' && event.skipped !== undefined ? [event] : []));

describe('a run has the events, the checkpoints and the bits of one that waits for each step', () => {
  test.each(['adamw', 'muon'] as const)('with %s', async (optimizer) => {
    const events = await expectSame({ optimizer });
    expect(events.filter(({ type }) => type === 'checkpoint').length).toBeGreaterThan(6);
  });

  test('with a loss spike, whose step changes nothing', async () => {
    const batch = (step: number, micro: number): Batch => batchOf(step, micro, step === 32 ? -1 : 1);
    const events = await expectSame({ batch, options: { learningRate: 0.1 } });
    expect(skippedOf(events)).toMatchObject([{ step: 33, skipped: 'loss spike' }]);
  });

  test('with steps in which nothing counts', async () => {
    const batch = (step: number, micro: number): Batch =>
      step % 11 === 5 ? nothingCounts(batchOf(step, micro)) : batchOf(step, micro);
    expect(skippedOf(await expectSame({ batch }))).toMatchObject([
      { step: 6, skipped: 'no counted target' },
      { step: 17 },
      { step: 28 },
      { step: 39 },
    ]);
  });

  test('without evaluations, where a skipped step decides whether the next one leaves a checkpoint to roll back to', async () => {
    const batch = (step: number, micro: number): Batch => batchOf(step, micro, step === 248 ? -1 : 1);
    const options = { maxIters: 258, evalInterval: 0, saveEvery: 0, learningRate: 0.1 };
    const events = await expectSame({ batch, options });
    expect(skippedOf(events)).toMatchObject([{ step: 249, skipped: 'loss spike' }]);
    expect(events.filter(({ type }) => type === 'checkpoint')).toMatchObject([
      { progress: { step: 250, goodStep: 250 } },
      { progress: { step: 258 } },
    ]);
  });

  test('with parameters that break, until it has rolled back', async () => {
    const broken = new WeakSet<Trainer>();
    const prepare = (step: number, trainer: Trainer): void => {
      if (step !== 17 || broken.has(trainer)) return;
      broken.add(trainer);
      trainer.parameters()[3].write(Float32Array.of(NaN), 7);
    };
    const events = await expectSame({ prepare });
    expect(skippedOf(events)).toHaveLength(5);
    expect(events.filter(({ type }) => type === 'rollback')).toMatchObject([{ from: 22, to: 0 }]);
  });
});

test('an interrupted run finishes what it has submitted, and saves that state', async () => {
  const one = await trained(false);
  for (const after of [5, 12]) {
    let polls = 0;
    const { events, states } = await trained(true, { clock: localClock(() => ++polls > after) });
    expect(events.at(-1)).toMatchObject({ type: 'end', reason: 'interrupted' });
    const { progress } = events.at(-1) as { progress: { step: number } };
    expect(progress.step).toBeGreaterThanOrEqual(after);
    expect(progress.step).toBeLessThan(after + 3);
    expect(states.get(`checkpoint ${progress.step}`)).toEqual(one.states.get(`step ${progress.step}`));
  }
});

test('what the clock decides waits until no step is on its way', async () => {
  let asked = 0;
  const decided: number[] = [];
  const clock = {
    ...localClock(),
    isDecisionDue: () => ++asked % 5 === 0,
    isCheckpointOld: () => true,
    adjustLength: (settings: Parameters<ReturnType<typeof localClock>['adjustLength']>[0], step: number) => {
      decided.push(step);
      return decided.length === 3 ? { ...settings, maxIters: 33 } : settings;
    },
  };
  const one = await trained(false);
  const { events, states, mostPending } = await trained(true, { clock });
  expect(mostPending).toBe(3);
  expect(decided.length).toBeLessThan(35); // 33 steps and 3 evaluations
  expect(events.at(-1)).toMatchObject({ type: 'end', progress: { step: 33 } });
  const saved = [...states.keys()].filter((name) => name.startsWith('checkpoint'));
  expect(saved.length).toBeGreaterThan(5);
  for (const name of saved)
    expect(states.get(name)).toEqual(one.states.get(name.replace('checkpoint', 'step')));
});

test('no loss up to the limit is a spike, whatever the losses that are not known yet', () => {
  const loss = double({ min: 0, max: 12, noNaN: true });
  assert(
    property(
      array(loss, { maxLength: 80 }),
      array(loss, { maxLength: 3 }),
      integer({ min: -1, max: 1 }),
      (known, unknown, noise) => {
        const losses = known.map((x) => (noise === 0 ? 3 + x / 100 : x));
        const after = (more: readonly number[]) =>
          [...losses, ...more].reduce((health, x, i) => afterStep(health, i + 1, x), freshHealth);
        const limit = lossWithoutSpike(after([]), unknown.length);
        expect(faultOf(after(unknown), Math.min(limit, 1e30), 1)).toBeUndefined();
        if (unknown.length === 0 && limit < Infinity)
          expect(faultOf(after([]), limit + 1e-6, 1)).toBe('loss spike'); // with all losses known it is the rule itself
      },
    ),
    { numRuns: 500, seed: 20261129 },
  );
});
