import { describe, expect, test } from 'vitest';
import { stepOf, type Batch } from '../../../src/data/batches.ts';
import { createReferenceBackend } from '../../../src/engine/reference/backend.ts';
import { gpt2Defaults } from '../../../src/model/architectures/gpt2.ts';
import type { TrainEvent } from '../../../src/train/events.ts';
import { train } from '../../../src/train/loop.ts';
import { trainingPrograms } from '../../../src/train/programs.ts';
import { localClock, type RunClock } from '../../../src/train/session/run-clock.ts';
import { resolveOptions, type Settings } from '../../../src/train/settings.ts';
import { Trainer } from '../../../src/train/trainer.ts';
import { numbersOf } from '../../fixtures/tensors.ts';

const config = {
  ...gpt2Defaults,
  vocabSize: 5,
  blockSize: 4,
  nLayer: 1,
  nHead: 1,
  nEmbd: 4,
  dropout: 0,
};
const batch: Batch = { inputs: Int32Array.of(0, 1, 2, 3), targets: Int32Array.of(1, 2, 3, 4) };
const settings = resolveOptions({ corpus: [], maxIters: 10, evalInterval: 4, warmupIters: 2 });

/** Trains a model on one batch; returns its events without times, and its parameters. */
async function trainWith(clock: RunClock, chosen: Settings = settings) {
  const backend = createReferenceBackend('float32');
  const shape = { config, batchSize: 1, microBatches: 1, optimizer: 'adamw' } as const;
  const adam = { optimizer: 'adamw', beta1: 0.9, beta2: 0.99, epsilon: 1e-8 } as const;
  const options = { ...adam, weightDecay: 0.1, momentum: 0, gradClip: 1 };
  const trainer = new Trainer(backend, trainingPrograms(shape), options, 1);
  trainer.initialize();
  const events: TrainEvent[] = [];
  const data = {
    stepData: () => stepOf([batch]),
    trainSample: () => [batch],
    validationSample: () => [batch],
    wholeValidation: undefined,
  };
  await train({ trainer, data, clock, sinks: [(event) => void events.push(event)] }, chosen);
  return {
    events: events.map((event) => ({ ...event, seconds: 0 })),
    parameters: await numbersOf(trainer.parameters()),
  };
}

describe('the clock alone makes all decisions of the loop that depend on time', () => {
  test('a process that receives the answers of another takes bit-identical steps', async () => {
    const answers: unknown[] = [];
    const record = <T>(answer: T): T => {
      answers.push(answer);
      return answer;
    };
    // Decides as a run would that is fitted to a time, saves now and then, and is interrupted.
    let asked = 0;
    const deciding: RunClock = {
      ...localClock(),
      isInterrupted: () => record(++asked > 9),
      isCheckpointOld: () => record(asked % 3 === 0),
      adjustLength: (current, step) =>
        record(step === 5 ? { ...current, maxIters: 8, lrDecayIters: 8 } : current),
    };
    const told = (): Promise<never> => Promise.resolve(answers.shift() as never);
    const following: RunClock = {
      ...localClock(),
      isInterrupted: told,
      isCheckpointOld: told,
      adjustLength: told,
    };
    const first = await trainWith(deciding);
    const second = await trainWith(following);
    expect(second).toEqual(first);
    expect(answers).toEqual([]);
    const types = first.events.map(({ type }) => type);
    expect(types.filter((type) => type === 'step')).toHaveLength(8); // shortened from 10 on the way
    expect(types.filter((type) => type === 'checkpoint').length).toBeGreaterThan(2);
  });

  test('an interruption is final, even if the next poll would deny it', async () => {
    let polls = 0;
    const { events } = await trainWith(localClock(() => ++polls === 3));
    expect(events.map(({ type }) => type)).toEqual(['step', 'step', 'checkpoint', 'end']);
    expect(events.at(-1)).toMatchObject({ reason: 'interrupted', progress: { step: 2 } });
  });
});

test('a checkpoint is old after the interval of saveEvery, counted from the last one', () => {
  const clock = localClock();
  expect(clock.isCheckpointOld({ ...settings, saveEvery: '1h' })).toBe(false);
  expect(clock.isCheckpointOld({ ...settings, saveEvery: '0.000000001s' })).toBe(true);
  expect(clock.isCheckpointOld({ ...settings, saveEvery: 1 })).toBe(false); // a number of steps is the loop's affair
});
