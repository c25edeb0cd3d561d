/** The length of a run that is given a time: how many steps fit into what is left of it, from what its parts cost. */
import { DECAY_SHARE } from './options.ts';
import { saveInterval } from './save-every.ts';
import { changeSchedule, settledSteps } from './schedule-history.ts';
import { decayProgress, hasPlateau } from './schedule.ts';
import { scheduleOptions, type Settings } from './settings.ts';

/** Seconds that each part of a run takes. */
export interface Costs {
  readonly step: number;
  /** An evaluation on samples of both splits, with its preview. */
  readonly evaluation: number;
  readonly checkpoint: number;
  /** The evaluation of the whole validation split at the end. */
  readonly last: number;
}

type Rhythm = Pick<Settings, 'evalInterval' | 'saveEvery'>;

/** Seconds that a run takes for `steps` more steps after `step`, to its end. Each evaluation is followed by a checkpoint. */
export function secondsFor(
  steps: number,
  step: number,
  { evalInterval, saveEvery }: Rhythm,
  costs: Costs,
): number {
  const { steps: saveSteps = Infinity, seconds: saveSeconds = Infinity } = saveInterval(saveEvery);
  const end = step + steps;
  // The last step is evaluated in any case.
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

/** The most steps after `step` that fit into `seconds`, evaluations and checkpoints included; at least 1. */
export function stepsWithin(seconds: number, step: number, rhythm: Rhythm, costs: Costs): number {
  let fits = 1;
  let tooMany = Math.max(2, Math.ceil(seconds / costs.step) + 1);
  while (tooMany - fits > 1) {
    const middle = Math.floor((fits + tooMany) / 2);
    if (secondsFor(middle, step, rhythm, costs) <= seconds) fits = middle;
    else tooMany = middle;
  }
  return fits;
}

/**
 * Seconds for a run with everything that belongs to it: those it was given, but at least half of them for what comes before
 * the evaluation of the whole validation split, which a large corpus may make longer than all the rest.
 */
export const timeForTraining = (seconds: number, last: number): number =>
  Math.max(seconds, seconds / 2 + last);

/** How far the length is corrected at a time, as a share of the steps. */
const REFIT_SHARE = 0.05;
/** During the decay, a correction of less than this share of the time is not worth another slope. */
const TOLERANCE = 0.005;

export interface Pace {
  /** The step the run is at, and how many of them it has taken in this process. */
  readonly step: number;
  readonly steps: number;
  /** Seconds left of the time it has, and that time. */
  readonly left: number;
  readonly seconds: number;
  readonly costs: Costs;
}

/**
 * Sets the length of a run anew from the time its parts have taken. Steps that are done keep their learning rates: a decay
 * that is under way continues from where it is, to the new end, and its former course is recorded.
 *
 * @returns the settings to continue with, or undefined if the length stays
 */
export function refit(settings: Settings, { step, steps, left, seconds, costs }: Pace): Settings | undefined {
  if (steps === 0 || step >= settings.maxIters || step < settledSteps(settings)) return undefined;
  const ahead = stepsWithin(left, step, settings, costs);
  const maxIters = step + ahead;
  const { schedule, lrDecayIters, lrDecayStart } = settings;
  if (schedule === 'constant' || lrDecayIters !== settings.maxIters) return { ...settings, maxIters };
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

/** Steps between two corrections of a run of this many. */
export const refitInterval = (steps: number): number => Math.max(1, Math.round(REFIT_SHARE * steps));
