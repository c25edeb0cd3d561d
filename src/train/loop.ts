import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Batch } from '../data/batches.ts';
import {
  afterRollback,
  afterSkip,
  afterStep,
  faultOf,
  freshHealth,
  MOST_ROLLBACKS,
  SKIPS_TO_DIVERGE,
  type Fault,
  type Health,
} from './divergence.ts';
import { learningRateAt, type ScheduleOptions } from './schedule.ts';
import type { StepResult, Trainer } from './trainer.ts';

/** What the loop needs to know; everything about corpora, files and terminals is the caller's. */
export interface LoopOptions extends ScheduleOptions {
  readonly maxIters: number;
  /** Evaluate every so many steps, and at the end; 0: only at the end. */
  readonly evalInterval: number;
  /** Stop after so many evaluations without a better validation loss; 0: never. */
  readonly patience: number;
  /** Checkpoints besides those at evaluations and at the end. */
  readonly saveEvery: { readonly steps?: number; readonly seconds?: number };
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
  /** Optimiser updates done: steps less those that were skipped. */
  readonly updates: number;
  readonly bestLoss: number;
  readonly bestStep: number;
  /** Evaluations since the best one. */
  readonly worse: number;
  /** The step that training returns to if it diverges: that of a checkpoint from before anything went wrong, or 0. */
  readonly goodStep: number;
  readonly health: Health;
}

export const freshProgress: Progress = {
  step: 0,
  updates: 0,
  bestLoss: Infinity,
  bestStep: 0,
  worse: 0,
  goodStep: 0,
  health: freshHealth,
};

export type TrainEvent =
  | {
      readonly type: 'step';
      /** Steps done, this one included. */
      readonly step: number;
      readonly loss: number;
      readonly gradNorm: number;
      readonly learningRate: number;
      /** Why the parameters were left as they are, if they were. */
      readonly skipped: Fault | undefined;
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
      /** A checkpoint is due. */
      readonly type: 'checkpoint';
      readonly progress: Progress;
    }
  | {
      /** Training has returned to an earlier step. */
      readonly type: 'rollback';
      /** Where it had come to, and where it is now. */
      readonly from: number;
      readonly to: number;
      readonly why: Why;
      readonly progress: Progress;
    }
  | {
      readonly type: 'end';
      readonly reason: EndReason;
      readonly progress: Progress;
      /** Of the final parameters, over the whole validation split; undefined if the end was not reached. */
      readonly validationLoss: number | undefined;
      /** What was wrong, if training diverged. */
      readonly why: Why | undefined;
    };

export type EndReason = 'finished' | 'stopped early' | 'interrupted' | 'diverged';

/** What was wrong when training diverged. */
export interface Why {
  readonly fault: Fault | 'evaluation not finite';
  /** The first tensor that is not as it should be, and what is wrong with it, in words. */
  readonly tensor: string;
}

/** What the loop asks of its caller on the way. */
export interface LoopHooks {
  /** Polled between steps and in long evaluations; when true, the loop ends there. */
  readonly interrupted?: (() => boolean | Promise<boolean>) | undefined;
  /** Puts the trainer back to the last checkpoint up to a step, or to its start, and says where that is. */
  readonly restore?: ((step: number) => Progress) | undefined;
  /**
   * Sees what a step has found before it is judged, and may replace it: where tests put faults.
   *
   * @param before where the run stands without the step
   */
  readonly inspect?: ((before: Progress, found: StepResult, trainer: Trainer) => StepResult) | undefined;
}

/** The steps between good checkpoints where evaluations give no rhythm. */
const GOOD_INTERVAL = 250;

/**
 * Trains from `progress` to the end: steps, evaluations, early stopping, returns to a checkpoint. Prints and saves
 * nothing: the caller acts on the events, each of which is handled before the loop goes on.
 */
export async function train(
  trainer: Trainer,
  data: LoopData,
  options: LoopOptions,
  handle: (event: TrainEvent) => void,
  { interrupted = () => false, restore, inspect }: LoopHooks = {},
  progress = freshProgress,
): Promise<EndReason> {
  let why: Why | undefined;
  let lastSeconds = 0; // of a step
  let reason = await run();
  let finalLoss: number | undefined;
  if (reason === 'finished' || reason === 'stopped early') {
    finalLoss = await meanLoss(trainer, data.wholeValidation(), interrupted);
    if (finalLoss === undefined) reason = 'interrupted';
  }
  const broken = reason === 'diverged' ? why : undefined;
  handle({ type: 'end', reason, progress, validationLoss: finalLoss, why: broken });
  return reason;

  async function run(): Promise<EndReason> {
    let saved = performance.now();
    const save = (): void => {
      handle({ type: 'checkpoint', progress });
      saved = performance.now();
    };
    for (;;) {
      await nextTurn(); // signals are heard only between synchronous stretches
      if (await interrupted()) {
        save();
        return 'interrupted';
      }
      let fault: Why['fault'] | undefined;
      if (progress.step < options.maxIters) {
        if (options.patience > 0 && progress.worse >= options.patience) return 'stopped early';
        fault = await takeStep();
        if (fault === undefined && isSaveDue(saved)) save();
      } else {
        if (isEvaluated(progress.step)) return 'finished';
        // What comes now belongs to the end and not to the course of the run, which may be made longer: it is not saved.
        save();
        const course = progress;
        if (await evaluate()) return 'finished';
        progress = course;
        fault = 'evaluation not finite';
      }
      if (fault === undefined) continue;
      const last = progress.step - 1;
      why = { fault, tensor: trainer.findFault(last, data.batches(last)) };
      if (!rollBack(why)) return 'diverged';
    }
  }

  /** One step, and the evaluation that may follow it. @returns what is wrong, if that calls for a return */
  async function takeStep(): Promise<Why['fault'] | undefined> {
    const start = performance.now();
    const { step: done, updates, health } = progress;
    const learningRate = health.learningRateFactor * learningRateAt(done, options);
    const found = await gradientOf(trainer, done, data.batches(done), lastSeconds);
    const { loss, gradNorm } = inspect?.(progress, found, trainer) ?? found;
    const skipped = faultOf(health, loss, gradNorm);
    if (skipped === undefined) trainer.update(updates, learningRate);
    progress =
      skipped === undefined
        ? { ...progress, step: done + 1, updates: updates + 1, health: afterStep(health, done + 1, loss) }
        : { ...progress, step: done + 1, health: afterSkip(health, loss) };
    const seconds = (performance.now() - start) / 1000;
    lastSeconds = seconds;
    handle({ type: 'step', step: done + 1, loss, gradNorm, learningRate, skipped, seconds });

    if (options.evalInterval === 0 && progress.step % GOOD_INTERVAL === 0) markGood();
    const isFinite = !isEvaluated(progress.step) || (await evaluate());
    if (skipped !== undefined && progress.health.skipped >= SKIPS_TO_DIVERGE) return skipped;
    return isFinite ? undefined : 'evaluation not finite';
  }

  /** @returns whether the losses are numbers */
  async function evaluate(): Promise<boolean> {
    const trainLoss = await meanLoss(trainer, data.trainSample());
    const validationLoss = await meanLoss(trainer, data.validationSample());
    const isFinite = Number.isFinite(trainLoss) && Number.isFinite(validationLoss);
    const best = isFinite && validationLoss < progress.bestLoss;
    progress = best
      ? { ...progress, bestLoss: validationLoss, bestStep: progress.step, worse: 0 }
      : { ...progress, worse: progress.worse + 1 };
    if (isFinite) markGood();
    handle({ type: 'evaluation', step: progress.step, trainLoss, validationLoss, best, progress });
    return isFinite;
  }

  /** The parameters are those of the last good step while steps are being skipped: that one may be what broke them. */
  function markGood(): void {
    if (progress.health.skipped === 0) progress = { ...progress, goodStep: progress.step };
  }

  function isEvaluated(step: number): boolean {
    return options.evalInterval > 0 && step % options.evalInterval === 0;
  }

  function isSaveDue(saved: number): boolean {
    const { steps = Infinity, seconds = Infinity } = options.saveEvery;
    const { step, goodStep } = progress;
    const isLate = performance.now() - saved >= 1000 * seconds;
    return isEvaluated(step) || goodStep === step || step % steps === 0 || isLate;
  }

  /** Returns to the last good checkpoint, unless that was done often enough. */
  function rollBack(cause: Why): boolean {
    const { step: from, bestLoss, bestStep, health } = progress;
    if (restore === undefined || health.rollbacks >= MOST_ROLLBACKS) return false;
    const there = restore(progress.goodStep);
    progress = { ...there, bestLoss, bestStep, health: afterRollback(there.health, health) };
    handle({ type: 'rollback', from, to: progress.step, why: cause, progress });
    return true;
  }
}

/** Signals are heard about so often, in seconds: the first asks for an end and must be answered, the second for one at once. */
const LISTEN = 0.1;

/**
 * Forward and backward over the micro-batches of a step, with pauses in which signals are heard.
 *
 * @param expected how long it is going to take, in seconds
 */
async function gradientOf(
  trainer: Trainer,
  step: number,
  batches: readonly Batch[],
  expected: number,
): Promise<StepResult> {
  const pauses = { parts: Math.ceil(expected / batches.length / LISTEN) || 1, pause: () => nextTurn() };
  let loss = 0;
  for (const [micro, batch] of batches.entries()) {
    if (micro > 0) await nextTurn();
    loss += await trainer.accumulateInParts(step, micro, batches.length, batch, pauses);
  }
  return { loss, gradNorm: trainer.gradNorm() };
}

/** The mean loss over batches, in nats per token; undefined if it was interrupted. */
async function meanLoss(trainer: Trainer, batches: Iterable<Batch>): Promise<number>;
async function meanLoss(
  trainer: Trainer,
  batches: Iterable<Batch>,
  interrupted: () => boolean | Promise<boolean>,
): Promise<number | undefined>;
async function meanLoss(
  trainer: Trainer,
  batches: Iterable<Batch>,
  interrupted: () => boolean | Promise<boolean> = () => false,
): Promise<number | undefined> {
  const total = { sum: 0, count: 0 };
  for (const batch of batches) {
    trainer.addLosses(batch, total);
    await nextTurn();
    if (await interrupted()) return undefined;
  }
  return total.sum / total.count;
}
