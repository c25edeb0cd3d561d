import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Batch, StepData } from '../data/batches.ts';
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
import { UserError } from '../errors.ts';
import { decayStartOf, learningRateAt, type ScheduleOptions } from './schedule.ts';
import { SIGNAL_POLL_SECONDS, startPolling, unlessStopped, type Poll } from '../polling.ts';
import { OrderedSum } from './ordered-sum.ts';
import { NOTHING_COUNTED, stepLoss, type StepResult, type Trainer } from './trainer.ts';

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
  readonly stepData: (step: number) => StepData;
  /** A fixed sample of each split, the same at every evaluation. */
  readonly trainSample: () => Iterable<Batch>;
  readonly validationSample: () => Iterable<Batch>;
  /** The whole validation split, on which the model that is kept is evaluated at the end; undefined without a split. */
  readonly wholeValidation: (() => Iterable<Batch>) | undefined;
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
  /** The evaluation that belongs to `step` was interrupted, or is about to start. */
  readonly evaluationDue: boolean;
  readonly health: Health;
}

export const freshProgress: Progress = {
  step: 0,
  updates: 0,
  bestLoss: Infinity,
  bestStep: 0,
  worse: 0,
  goodStep: 0,
  evaluationDue: false,
  health: freshHealth,
};

export type TrainEvent =
  | {
      readonly type: 'step';
      /** Steps done, this one included. */
      readonly step: number;
      /** Mean loss of the counted targets in nats, before the update; NaN if the step has none. */
      readonly loss: number;
      readonly gradNorm: number;
      readonly learningRate: number;
      /** Why the parameters were left as they are, if they were. */
      readonly skipped: Fault | 'no counted target' | undefined;
      /** Wall time of the step. */
      readonly seconds: number;
    }
  | {
      readonly type: 'evaluation';
      readonly step: number;
      /** Estimates: means over the samples of LoopData. */
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
      /**
       * Of the best model, the one that is kept, over the whole validation split. Undefined if the end was not reached or
       * there is no such split.
       */
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
  /**
   * Polled at least every SIGNAL_POLL_SECONDS, unless a single instruction takes longer. When true, the loop saves and ends;
   * an unfinished step or evaluation is discarded, and repeated on resuming.
   */
  readonly interrupted?: (() => boolean | Promise<boolean>) | undefined;
  /** Puts the trainer back to the last checkpoint up to a step, or to its start, and says where that is. */
  readonly restore?: ((step: number) => Progress) | undefined;
  /** Overwrites the parameters with those of the best model, at the end of a run, to evaluate it. */
  readonly loadBest?: (() => void) | undefined;
  /** Called after each batch of the evaluation of the whole validation split, with the tokens predicted so far. */
  readonly evaluated?: ((tokens: number) => void) | undefined;
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
 * nothing: the caller acts on the events, each of which is handled before the loop continues.
 */
export async function train(
  trainer: Trainer,
  data: LoopData,
  options: LoopOptions,
  handle: (event: TrainEvent) => void | Promise<void>,
  { interrupted = () => false, restore, loadBest, evaluated, inspect }: LoopHooks = {},
  progress = freshProgress,
): Promise<EndReason> {
  let why: Why | undefined;
  let lastSeconds: number | undefined; // of a step
  const poll = startPolling(interrupted, SIGNAL_POLL_SECONDS);
  let reason = await run();
  let finalLoss: number | undefined;
  if (data.wholeValidation !== undefined && (reason === 'finished' || reason === 'stopped early')) {
    // The last checkpoint is written, so the parameters in memory are not needed any more.
    loadBest?.();
    finalLoss = await meanLoss(trainer, data.wholeValidation(), poll, evaluated);
    if (finalLoss === undefined) reason = 'interrupted';
  }
  const broken = reason === 'diverged' ? why : undefined;
  await handle({ type: 'end', reason, progress, validationLoss: finalLoss, why: broken });
  return reason;

  async function run(): Promise<EndReason> {
    let saved = performance.now();
    const save = async (): Promise<void> => {
      await handle({ type: 'checkpoint', progress });
      saved = performance.now();
    };
    for (;;) {
      await nextTurn(); // signals are heard only between synchronous stretches
      if (await interrupted()) {
        await save();
        return 'interrupted';
      }
      let outcome: Outcome;
      if (progress.evaluationDue) {
        outcome = await evaluate();
        if (outcome === 'done') await save();
      } else if (progress.step < options.maxIters) {
        if (options.patience > 0 && progress.worse >= options.patience) return 'stopped early';
        outcome = await takeStep();
        if (outcome === 'done' && !progress.evaluationDue && isSaveDue(saved)) await save();
      } else {
        if (isEvaluated(progress.step)) return 'finished';
        // What comes now belongs to the end and not to the course of the run, which may be made longer: it is not saved.
        await save();
        const course = progress;
        outcome = await evaluate();
        if (outcome === 'done') return 'finished';
        progress = course;
        if (outcome === 'interrupted') return 'interrupted';
      }
      if (outcome === 'done' || outcome === 'interrupted') continue; // an interruption is seen, and saved, above
      why = outcome;
      if (!(await rollBack(why))) return 'diverged';
    }
  }

  /** One step. @returns a fault if it calls for a return to a checkpoint */
  async function takeStep(): Promise<Outcome> {
    const start = performance.now();
    const { step: done, updates, health } = progress;
    const learningRate = health.learningRateFactor * learningRateAt(done, options);
    const stepData = data.stepData(done);
    const found = await gradientOf(trainer, done, stepData, lastSeconds, poll);
    if (found === undefined) return 'interrupted';
    const { loss, gradNorm } = inspect?.(progress, found, trainer) ?? found;
    const fault = stepData.counted === 0 ? undefined : faultOf(health, loss, gradNorm);
    const skipped = stepData.counted === 0 ? 'no counted target' : fault;
    if (skipped === undefined) trainer.update(updates, learningRate);
    const seconds = (performance.now() - start) / 1000;
    lastSeconds = seconds;
    let next: Progress = { ...progress, step: done + 1 };
    if (skipped === undefined)
      next = { ...next, updates: updates + 1, health: afterStep(health, done + 1, loss) };
    else if (fault !== undefined) next = { ...next, health: afterSkip(health, loss) };
    const diverges = fault !== undefined && next.health.skipped >= SKIPS_TO_DIVERGE;
    const cause = diverges ? await explain(fault, done) : undefined;
    if (diverges && cause === undefined) return 'interrupted';
    progress = next;
    await handle({ type: 'step', step: done + 1, loss, gradNorm, learningRate, skipped, seconds });

    if (options.evalInterval === 0 && progress.step % GOOD_INTERVAL === 0) markGood();
    if (cause !== undefined) return cause;
    progress = { ...progress, evaluationDue: isEvaluated(progress.step) };
    return 'done';
  }

  async function evaluate(): Promise<Outcome> {
    const trainLoss = await meanLoss(trainer, data.trainSample(), poll);
    if (trainLoss === undefined) return 'interrupted';
    const validationLoss = await meanLoss(trainer, data.validationSample(), poll);
    if (validationLoss === undefined) return 'interrupted';
    const isFinite = Number.isFinite(trainLoss) && Number.isFinite(validationLoss);
    const cause = isFinite ? undefined : await explain('evaluation not finite', progress.step - 1);
    if (!isFinite && cause === undefined) return 'interrupted';
    const best = isFinite && validationLoss < progress.bestLoss;
    progress = best
      ? { ...progress, bestLoss: validationLoss, bestStep: progress.step, worse: 0 }
      : { ...progress, worse: isBeforeNewDecay(progress.step) ? 0 : progress.worse + 1 };
    progress = { ...progress, evaluationDue: false };
    if (isFinite) markGood();
    await handle({ type: 'evaluation', step: progress.step, trainLoss, validationLoss, best, progress });
    return cause ?? 'done';
  }

  /**
   * Finds out what a fault comes from, before the step or evaluation that shows it counts: an interrupted one is repeated.
   *
   * @param step the last one that was taken, or tried
   */
  async function explain(fault: Why['fault'], step: number): Promise<Why | undefined> {
    const search = trainer.findingFault(step, data.stepData(step));
    const found = await unlessStopped(search, poll);
    return found && { fault, tensor: found.value };
  }

  /** In an extended run whose rate has risen again, the loss stays above that of the decayed model until the new decay. */
  function isBeforeNewDecay(step: number): boolean {
    return (options.rewarmStart ?? 0) > 0 && step <= decayStartOf(options);
  }

  /** The parameters are those of the last good step while steps are being skipped: that one may be what broke them. */
  function markGood(): void {
    if (progress.health.skipped === 0) progress = { ...progress, goodStep: progress.step };
  }

  function isEvaluated(step: number): boolean {
    return options.evalInterval > 0 && step % options.evalInterval === 0;
  }

  /** Between evaluations, each of which is followed by a checkpoint. */
  function isSaveDue(saved: number): boolean {
    const { steps = Infinity, seconds = Infinity } = options.saveEvery;
    const { step, goodStep } = progress;
    const isLate = performance.now() - saved >= 1000 * seconds;
    return goodStep === step || step % steps === 0 || isLate;
  }

  /** Returns to the last good checkpoint, unless that was done often enough. */
  async function rollBack(cause: Why): Promise<boolean> {
    const { step: from, bestLoss, bestStep, health } = progress;
    if (restore === undefined || health.rollbacks >= MOST_ROLLBACKS) return false;
    const there = restore(progress.goodStep);
    progress = { ...there, bestLoss, bestStep, health: afterRollback(there.health, health) };
    await handle({ type: 'rollback', from, to: progress.step, why: cause, progress });
    return true;
  }
}

/** How a step or an evaluation ended: with a cause if training has to return to a checkpoint. */
type Outcome = 'done' | 'interrupted' | Why;

/**
 * Forward and backward over the micro-batches of a step, polling for an interruption.
 *
 * @param lastSeconds how long the last step took; undefined: not known yet
 * @returns undefined if it was interrupted; the gradients are then incomplete, parameters and moments as before
 */
async function gradientOf(
  trainer: Trainer,
  step: number,
  data: StepData,
  lastSeconds: number | undefined,
  poll: Poll,
): Promise<StepResult | undefined> {
  if (data.counted === 0) return NOTHING_COUNTED;
  const seconds = lastSeconds && lastSeconds / data.microBatches;
  const losses = new OrderedSum(data.microBatches);
  let micro = 0;
  for (const batch of data.batches) {
    if (micro > 0 && (await poll())) return undefined;
    const sum = await unlessStopped(trainer.accumulating(step, micro++, data, batch, seconds), poll);
    if (sum === undefined) return undefined;
    losses.add(sum.value);
  }
  return { loss: stepLoss(losses, data), gradNorm: trainer.gradNorm() };
}

/**
 * The mean loss of all counted targets, in nats per token; undefined if it was interrupted.
 *
 * @throws UserError if every target is masked: there is no mean then
 */
export async function meanLoss(
  trainer: Trainer,
  batches: Iterable<Batch>,
  poll: Poll,
  evaluated?: LoopHooks['evaluated'],
): Promise<number | undefined> {
  const total = { sum: 0, count: 0 };
  let seconds: number | undefined;
  for (const batch of batches) {
    const start = performance.now();
    if ((await unlessStopped(trainer.addingLosses(batch, total, seconds), poll)) === undefined)
      return undefined;
    seconds = (performance.now() - start) / 1000;
    evaluated?.(total.count);
    if (await poll()) return undefined;
  }
  if (total.count === 0)
    throw new UserError(
      'text-too-short',
      'there is nothing to evaluate on: every target of the split is masked',
      {
        hint: 'use a validation text with targets that count',
      },
    );
  return total.sum / total.count;
}
