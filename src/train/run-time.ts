/** The length of a timed run: how many steps fit into the remaining time, given the costs of its parts. */
import { DECAY_SHARE } from './options/learning-rate.ts';
import { saveInterval } from './save-every.ts';
import { changeSchedule, recordedSteps } from './schedule-history.ts';
import { decayProgress, hasDecayEnd, hasPlateau } from './schedule.ts';
import { scheduleOptions, type Settings } from './settings.ts';

/** Duration of each part of a run, in seconds. */
export interface Costs {
  readonly step: number;
  /** An evaluation on samples of both splits, with its preview. */
  readonly evaluation: number;
  readonly checkpoint: number;
  /** The evaluation of the whole validation split at the end. */
  readonly last: number;
}

type Intervals = Pick<Settings, 'evalInterval' | 'saveEvery'>;

/** Seconds from step `step` to the end of a run, `steps` steps later. Each evaluation is followed by a checkpoint. */
export function secondsFor(
  steps: number,
  step: number,
  { evalInterval, saveEvery }: Intervals,
  costs: Costs,
): number {
  const { steps: saveSteps = Infinity, seconds: saveSeconds = Infinity } = saveInterval(saveEvery);
  const end = step + steps;
  // The last step is always evaluated.
  const evaluations =
    evalInterval === 0 ? 1 : Math.ceil(end / evalInterval) - Math.floor(step / evalInterval);
  const betweenEvaluations =
    Math.floor(end / saveSteps) - Math.floor(step / saveSteps) + (steps * costs.step) / saveSeconds;
  return (
    steps * costs.step +
    evaluations * (costs.evaluation + costs.checkpoint) +
    betweenEvaluations * costs.checkpoint +
    costs.last
  );
}

/** Maximum number of steps after `step` that fit into `seconds` with evaluations and checkpoints; at least 1. */
export function stepsWithin(seconds: number, step: number, intervals: Intervals, costs: Costs): number {
  let fits = 1;
  let tooMany = Math.max(2, Math.ceil(seconds / costs.step) + 1);
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (secondsFor(middle, step, intervals, costs) <= seconds) fits = middle;
    else tooMany = middle;
  }
  return fits;
}

/**
 * The time limit of a run in seconds, including its end. The evaluation of the whole validation split, which may dominate
 * for a large corpus, gets at most half of `seconds`; beyond that, it extends the limit.
 */
export const timeForTraining = (seconds: number, last: number): number =>
  Math.max(seconds, seconds / 2 + last);

/**
 * Seconds that a run with a time limit is expected to take: the limit, or less if it reaches its maximum number of steps, or
 * more if a single step exceeds it.
 *
 * @param run the step at which it starts or resumes, and the steps from there
 */
export function secondsOfTimedRun(
  { seconds, costs }: { readonly seconds: number; readonly costs: Costs },
  intervals: Intervals,
  { startStep, steps }: { readonly startStep: number; readonly steps: number },
): number {
  const needed = secondsFor(steps, startStep, intervals, costs);
  return steps === 1 ? needed : Math.min(timeForTraining(seconds, costs.last), needed);
}

/** Longest interval of corrections, as a fraction of the steps and of the time limit. */
export const REFIT_SHARE = 0.05;
/** Smallest correction during the decay, as a fraction of the time: a smaller one is not worth changing the slope. */
const TOLERANCE = 0.005;

/** How far a timed run has come, and the time it has left. */
interface TimedProgress {
  /** Steps done in all, and by this process. */
  readonly step: number;
  readonly steps: number;
  /** Seconds left of the time limit, and the limit. */
  readonly left: number;
  readonly seconds: number;
  readonly costs: Costs;
  /** Upper limit on the steps of the whole run, however much time is left. */
  readonly maxSteps: number;
}

/**
 * Corrects the length of a run from the measured costs of its parts. Completed steps keep their learning rates: a decay
 * that has begun continues from its present value to the new end, and the schedule so far is recorded.
 *
 * @returns the settings to continue with; undefined if the length stays the same
 */
export function refit(
  settings: Settings,
  { step, steps, left, seconds, costs, maxSteps }: TimedProgress,
): Settings | undefined {
  if (steps === 0 || step >= settings.maxIters || step < recordedSteps(settings)) return undefined;
  const ahead = Math.min(stepsWithin(left, step, settings, costs), maxSteps - step);
  const maxIters = step + ahead;
  const { schedule, lrDecayIters, lrDecayStart } = settings;
  if (!hasDecayEnd(schedule) || lrDecayIters !== settings.maxIters) return { ...settings, maxIters };
  const moved = { ...settings, maxIters, lrDecayIters: maxIters };
  const done = decayProgress(step, scheduleOptions(settings));
  if (done > 0) {
    const change = Math.abs(maxIters - settings.maxIters) * costs.step;
    if (change < TOLERANCE * seconds) return undefined;
    return changeSchedule(settings, { ...moved, lrDecayStart: step, lrDecayFrom: done }, step);
  }
  if (!hasPlateau(scheduleOptions(settings)) || step > lrDecayStart) return moved;
  const decay = Math.ceil(DECAY_SHARE * (steps + ahead));
  const next = refitInterval(steps + ahead);
  const startsNow = ahead - next / 2 <= decay;
  const decayStart = startsNow ? step : Math.max(maxIters - decay, step + next);
  const end = Math.max(maxIters, decayStart + 1);
  return { ...moved, maxIters: end, lrDecayIters: end, lrDecayStart: decayStart };
}

/** Steps between two corrections. @param steps of the run */
export const refitInterval = (steps: number): number => Math.max(1, Math.round(REFIT_SHARE * steps));
