import { setImmediate as nextTurn } from 'node:timers/promises';
import { learningRateAt, type ScheduleOptions } from './schedule.ts';
import type { Batch, Trainer } from './trainer.ts';

/** What the loop needs to know; everything about corpora, files and terminals is the caller's. */
export interface LoopOptions extends ScheduleOptions {
  readonly maxIters: number;
  /** Evaluate every so many steps, and at the end; 0: only at the end. */
  readonly evalInterval: number;
  /** Stop after so many evaluations without a better validation loss; 0: never. */
  readonly patience: number;
}

/** The data of a run, as functions: the loop neither knows nor cares where tokens come from. */
export interface LoopData {
  /** The micro-batches of step `step`, counted from 0; a pure function of it. */
  readonly batches: (step: number) => readonly Batch[];
  /** A fixed sample of each split, the same at every evaluation; and all of the validation split, for the end. */
  readonly trainSample: () => Iterable<Batch>;
  readonly validationSample: () => Iterable<Batch>;
  readonly wholeValidation: () => Iterable<Batch>;
}

/** Where a run stands: what a checkpoint must hold besides the numbers in memory. */
export interface Progress {
  /** Steps done. */
  readonly step: number;
  readonly bestLoss: number;
  readonly bestStep: number;
  /** Evaluations since the best one. */
  readonly worse: number;
}

export const freshProgress: Progress = { step: 0, bestLoss: Infinity, bestStep: 0, worse: 0 };

export type TrainEvent =
  | {
      readonly type: 'step';
      /** Steps done, this one included. */
      readonly step: number;
      readonly loss: number;
      readonly gradNorm: number;
      readonly learningRate: number;
      /** Wall time of the step. */
      readonly seconds: number;
    }
  | {
      readonly type: 'evaluation';
      readonly step: number;
      readonly trainLoss: number;
      readonly validationLoss: number;
      /** The lowest validation loss so far. */
      readonly best: boolean;
      readonly progress: Progress;
    }
  | {
      readonly type: 'end';
      readonly reason: EndReason;
      readonly progress: Progress;
      /** Of the final parameters, over the whole validation split; undefined if interrupted. */
      readonly validationLoss: number | undefined;
    };

export type EndReason = 'finished' | 'stopped early' | 'interrupted';

/**
 * Trains from `progress` to the end: steps, evaluations, early stopping. Prints and saves nothing: the caller acts on the
 * events, each of which is handled before the loop goes on.
 *
 * @param interrupted polled between steps; when true, the loop ends after the step it is in
 */
export async function train(
  trainer: Trainer,
  data: LoopData,
  options: LoopOptions,
  handle: (event: TrainEvent) => void,
  {
    progress = freshProgress,
    interrupted = () => false,
  }: { progress?: Progress; interrupted?: () => boolean } = {},
): Promise<EndReason> {
  let reason: EndReason = 'finished';
  while (progress.step < options.maxIters) {
    await nextTurn(); // signals are heard only between synchronous stretches
    if (interrupted()) {
      reason = 'interrupted';
      break;
    }
    const start = performance.now();
    const learningRate = learningRateAt(progress.step, options);
    const { loss, gradNorm } = trainer.step(progress.step, data.batches(progress.step), learningRate);
    const seconds = (performance.now() - start) / 1000;
    progress = { ...progress, step: progress.step + 1 };
    handle({ type: 'step', step: progress.step, loss, gradNorm, learningRate, seconds });

    const last = progress.step === options.maxIters;
    if (!last && (options.evalInterval === 0 || progress.step % options.evalInterval !== 0)) continue;
    progress = evaluate(trainer, data, progress, handle);
    if (options.patience > 0 && progress.worse >= options.patience && !last) {
      reason = 'stopped early';
      break;
    }
  }
  const validationLoss = reason === 'interrupted' ? undefined : trainer.evaluate(data.wholeValidation());
  handle({ type: 'end', reason, progress, validationLoss });
  return reason;
}

function evaluate(
  trainer: Trainer,
  data: LoopData,
  progress: Progress,
  handle: (event: TrainEvent) => void,
): Progress {
  const trainLoss = trainer.evaluate(data.trainSample());
  const validationLoss = trainer.evaluate(data.validationSample());
  const best = validationLoss < progress.bestLoss;
  const next = best
    ? { ...progress, bestLoss: validationLoss, bestStep: progress.step, worse: 0 }
    : { ...progress, worse: progress.worse + 1 };
  handle({
    type: 'evaluation',
    step: progress.step,
    trainLoss,
    validationLoss,
    best,
    progress: next,
  });
  return next;
}
