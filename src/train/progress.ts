/** The progress of a run, and how steps and evaluations change it. Everything here is a pure function of plain data. */
import { afterSkip, afterStep, freshHealth, type Fault, type Health } from './divergence.ts';
import type { PastSchedule } from './past-schedule.ts';
import { saveInterval } from './save-every.ts';
import { decayStartOf, hasDecayEnd } from './schedule.ts';
import { scheduleOptions, type Settings } from './settings.ts';

/** The state of a run besides its settings, parameters and moments. */
export interface Progress {
  /** Steps done. */
  readonly step: number;
  /** Optimizer updates done: steps minus those that were skipped. */
  readonly updates: number;
  /** The lowest validation loss so far, in nats per token, and its step. Infinity and 0 before the first evaluation. */
  readonly bestLoss: number;
  readonly bestStep: number;
  /** Whether the best model is an average of the weights. */
  readonly isBestAverage: boolean;
  /** Evaluations since the best one. */
  readonly worse: number;
  /** The step that training rolls back to if it diverges: that of the last good checkpoint, or 0. */
  readonly goodStep: number;
  /** The evaluation after `step` was interrupted, or is about to start. */
  readonly evaluationDue: boolean;
  readonly health: Health;
}

export const freshProgress: Progress = {
  step: 0,
  updates: 0,
  bestLoss: Infinity,
  bestStep: 0,
  isBestAverage: false,
  worse: 0,
  goodStep: 0,
  evaluationDue: false,
  health: freshHealth,
};

/** The next phase of a run; the last two end it. */
export type Phase = 'step' | 'evaluation' | 'final evaluation' | 'finished' | 'stopped early';

export function nextPhase(progress: Progress, settings: Settings): Phase {
  const { step, worse, goodStep, evaluationDue, health } = progress;
  const { maxIters, patience } = settings;
  if (evaluationDue) return 'evaluation';
  if (step < maxIters) {
    const isHopeless = patience > 0 && worse >= patience && !isBeforeNewDecay(step, settings);
    return isHopeless ? 'stopped early' : 'step';
  }
  // A checkpoint of this step may be from before its evaluation: of an earlier version, or of a run that was to be longer.
  const hasEvaluation = isEvaluated(step, settings) && (goodStep === step || health.skipped > 0);
  return hasEvaluation ? 'finished' : 'final evaluation';
}

/**
 * Whether an evaluation follows a step and is part of the run's state. With replicas, one that is due waits for their next
 * synchronization, and only a synchronized end has one. A run that ends with its decay keeps the evaluation of the end when it
 * is extended: it is often the best. One whose decay ends elsewhere continues as if it had been planned longer.
 */
const isEvaluated = (step: number, settings: Settings): boolean => {
  const { evalInterval, syncEvery = 1, maxIters, pastSchedules } = settings;
  if (evalInterval === 0 || step % syncEvery !== 0) return false;
  const endsWithDecay = (until: number, { schedule, lrDecayIters }: Omit<PastSchedule, 'until'>): boolean =>
    step === until && lrDecayIters === until && hasDecayEnd(schedule);
  return (
    step % evalInterval < syncEvery ||
    endsWithDecay(maxIters, settings) ||
    pastSchedules.some((past) => endsWithDecay(past.until, past))
  );
};

/** Why a step left the parameters unchanged. */
export type Skipped = Fault | 'no counted target';

/** @param loss of the step, in nats per token */
export function afterOptimizerStep(progress: Progress, loss: number, skipped: Skipped | undefined): Progress {
  const { updates, health } = progress;
  const step = progress.step + 1;
  if (skipped === undefined)
    return { ...progress, step, updates: updates + 1, health: afterStep(health, step, loss) };
  // A step without counted targets says nothing about the parameters.
  return { ...progress, step, health: skipped === 'no counted target' ? health : afterSkip(health, loss) };
}

/** Steps between good checkpoints in a run without intermediate evaluations. */
const GOOD_INTERVAL = 250;

const mayBeGood = (step: number, { evalInterval }: Settings): boolean =>
  evalInterval === 0 && step % GOOD_INTERVAL === 0;

/** Updates `evaluationDue`, `goodStep` and `worse` after a step. */
export function scheduled(progress: Progress, settings: Settings): Progress {
  const marked = mayBeGood(progress.step, settings) ? markGood(progress) : progress;
  const worse = isBeforeNewDecay(progress.step, settings) ? 0 : progress.worse;
  return { ...marked, worse, evaluationDue: isEvaluated(progress.step, settings) };
}

/**
 * Whether an evaluation, the end or, depending on the losses until then, a checkpoint follows a step: no later step may be
 * submitted before it.
 */
export function isPauseAfter(step: number, settings: Settings): boolean {
  const { steps = Infinity } = saveInterval(settings.saveEvery);
  const isDue = isEvaluated(step, settings) || mayBeGood(step, settings);
  return isDue || step % steps === 0 || step >= settings.maxIters;
}

/** While steps are being skipped, the parameters are those of the last step taken, which may itself be the fault. */
const markGood = (progress: Progress): Progress =>
  progress.health.skipped === 0 ? { ...progress, goodStep: progress.step } : progress;

/** The losses of an evaluation, in nats per token. */
export interface EvaluationLosses {
  readonly trainLoss: number;
  /** Of the weights or their average, whichever is lower. */
  readonly validationLoss: number;
  /** Validation losses of both; undefined if no average is kept. */
  readonly averaging: Averaging | undefined;
}

export interface Averaging {
  readonly weightsLoss: number;
  readonly averageLoss: number;
}

/** Also false if only the average's loss is not finite. That is not a fault: the average will follow the weights. */
export const isAverageBetter = (averaging: Averaging | undefined): boolean =>
  averaging !== undefined && averaging.averageLoss < averaging.weightsLoss;

export function afterEvaluation(
  progress: Progress,
  { trainLoss, validationLoss, averaging }: EvaluationLosses,
  settings: Settings,
): Progress {
  const isFinite = Number.isFinite(trainLoss) && Number.isFinite(validationLoss);
  const { step, bestLoss } = progress;
  const best = { bestLoss: validationLoss, bestStep: step, isBestAverage: isAverageBetter(averaging) };
  const judged: Progress =
    isFinite && validationLoss < bestLoss
      ? { ...progress, ...best, worse: 0 }
      : { ...progress, worse: isBeforeNewDecay(step, settings) ? 0 : progress.worse + 1 };
  const evaluated = { ...judged, evaluationDue: false };
  return isFinite ? markGood(evaluated) : evaluated;
}

/** In an extended run, the loss stays above that of the decayed model from the re-warm-up until the new decay. */
const isBeforeNewDecay = (step: number, settings: Settings): boolean =>
  settings.rewarmStart > 0 && step <= decayStartOf(scheduleOptions(settings));
