/** Training on random tokens, to measure speed. */
import { stepOf } from '../data/batches.ts';
import { documentRows } from '../data/documents/document-rows.ts';
import type { DecidingWork, LazyBackend } from '../engine/backend.ts';
import { costOf } from '../engine/cost.ts';
import type { Device, Timing } from '../engine/device.ts';
import { predictStep } from './predict-step.ts';
import { trainingPrograms, type TrainingShape } from './programs.ts';
import { STEPS_AHEAD, Trainer } from './trainer.ts';

/** Usual total duration of a measurement, in seconds. */
export const CALIBRATION_SECONDS = 0.5;

/** What determines the time of a step without gradient accumulation. */
export type TimedModel = Omit<TrainingShape, 'microBatches'>;

/** Trains a model a number of steps at a time. */
export interface TimedTraining {
  readonly tokensPerStep: number;
  /** Floating-point operations of all GEMMs of a step. */
  readonly flopsPerStep: number;
  readonly memoryBytes: number;
  /** Trains for a number of steps; returns the seconds they took. */
  readonly run: (steps: number) => Promise<number>;
  /** See Trainer.timings. */
  readonly timings: () => Promise<Timing[]>;
}

/** Lays a model out at the start of the device's memory and initializes it. */
export function startTraining(device: Device, model: TimedModel): TimedTraining {
  const { config, batchSize, optimizer } = model;
  const programs = trainingPrograms({ ...model, microBatches: 1 });
  const options = {
    optimizer,
    beta1: 0.9,
    beta2: 0.99,
    epsilon: 1e-8,
    weightDecay: 0.1,
    momentum: 0,
    gradClip: 1,
  } as const;
  const trainer = new Trainer(device, programs, options, 1);
  trainer.initialize();
  const length = batchSize * config.blockSize;
  const random = (): Int32Array =>
    Int32Array.from({ length }, () => Math.floor(Math.random() * config.vocabSize));
  const rows = documentRows(random(), config.blockSize, undefined); // a document mask can only save work
  let done = 0;
  /** Without waiting where the training loop does not. */
  const submit = (): Promise<unknown> => {
    const [step, batches] = [done++, [{ inputs: random(), targets: random(), rows }]];
    if (!trainer.canSubmitWhole) return trainer.step(step, batches, 1e-3);
    const rates = { learningRate: 1e-3, matrixLearningRate: 1e-3 };
    return trainer.submitWhole({ step, data: stepOf(batches), updates: step, ...rates, lossLimit: Infinity });
  };
  return {
    tokensPerStep: length,
    flopsPerStep: programs.forwardBackward.instructions.reduce((sum, each) => sum + costOf(each).flops, 0),
    memoryBytes: 4 * programs.end,
    async run(steps) {
      const start = performance.now();
      const submitted: Promise<unknown>[] = [];
      for (let i = 0; i < steps; i++) {
        submitted.push(submit());
        if (submitted.length >= (trainer.canSubmitWhole ? STEPS_AHEAD : 1)) await submitted.shift();
      }
      await Promise.all(submitted);
      return (performance.now() - start) / 1000;
    },
    timings: () => trainer.timings(),
  };
}

export interface Speed {
  /** The median of an optimizer step without gradient accumulation: what a run takes if the CPU stays as busy. */
  readonly stepSeconds: number;
  /** GEMM FLOP/s in the fastest step: what this CPU can reach. */
  readonly flopsPerSecond: number;
}

/**
 * Measures how fast a model trains here. Half of the time is warm-up: V8 compiles the kernels while they run, and until
 * then they are many times slower. Steps that take longer than the given time are run twice.
 *
 * @param engine its memory must be unused; it is cleared afterwards
 * @param seconds total duration
 */
export async function measureSpeed(model: TimedModel, engine: LazyBackend, seconds: number): Promise<Speed> {
  return measureSpeedOn((await engine.open()).backend, model, seconds);
}

/** The same on a device. */
export async function measureSpeedOn(device: Device, model: TimedModel, seconds: number): Promise<Speed> {
  try {
    const training = startTraining(device, model);
    const runFor = async (limit: number): Promise<number[]> => {
      const times: number[] = [];
      const until = performance.now() + 1000 * limit;
      let count = 1;
      do {
        times.push((await training.run(count)) / count);
        // A queue is kept filled, as in training.
        if (device.isQueued === true)
          count = Math.max(1, Math.min(2 * STEPS_AHEAD, Math.floor(limit / 4 / times[0])));
      } while (performance.now() < until);
      return times.sort((a, b) => a - b);
    };
    await runFor(seconds / 2);
    const times = await runFor(seconds / 2);
    const flopsPerSecond = training.flopsPerStep / times[0];
    return { stepSeconds: times[Math.floor(times.length / 2)], flopsPerSecond };
  } finally {
    device.clear();
  }
}

/** A step without gradient accumulation, by which `auto` chooses the device. @param seconds duration of each measurement */
export const timedStep = (model: TimedModel, seconds: number): DecidingWork => ({
  name: 'a step',
  measure: async (device) => (await measureSpeedOn(device, model, seconds)).stepSeconds,
  predict: (rates) => predictStep(rates, trainingPrograms({ ...model, microBatches: 1 }), 1),
});
