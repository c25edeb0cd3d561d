/** Keeps a run to the time it was given: what its parts cost, and how many steps fit into the time left. */
import { DECAY_SHARE, saveInterval, type Settings } from './settings.ts';

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

/** How far the length is corrected at a time: this share of the steps, and of the time. */
const REFIT_SHARE = 0.05;

export interface Pace {
  /** The step the run is at, and how many of them it has taken in this process. */
  readonly step: number;
  readonly steps: number;
  /** Seconds left of the time it has. */
  readonly left: number;
  readonly costs: Costs;
}

/**
 * Sets the length of a run anew from the time its parts have taken. While the learning rate does not depend on the length,
 * nor do the steps taken so far: until the decay starts, or always if there is none or its end is not the run's.
 *
 * @returns the settings to continue with, or undefined if the length is settled
 */
export function refit(settings: Settings, { step, steps, left, costs }: Pace): Settings | undefined {
  if (steps === 0 || step >= settings.maxIters) return undefined;
  const ahead = stepsWithin(left, step, settings, costs);
  const maxIters = step + ahead;
  const { schedule, lrDecayIters, lrDecayStart, rewarmStart } = settings;
  if (schedule === 'constant' || lrDecayIters !== settings.maxIters) return { ...settings, maxIters };
  const hasPlateau = schedule === 'wsd' || rewarmStart > 0;
  if (!hasPlateau || step > lrDecayStart) return undefined;
  const decay = Math.ceil(DECAY_SHARE * (steps + ahead));
  const next = refitInterval(steps + ahead);
  const startsNow = ahead - next / 2 <= decay;
  const decayStart = startsNow ? step : Math.max(maxIters - decay, step + next);
  const end = Math.max(maxIters, decayStart + 1);
  return { ...settings, maxIters: end, lrDecayIters: end, lrDecayStart: decayStart };
}

const refitInterval = (steps: number): number => Math.max(1, Math.round(REFIT_SHARE * steps));

type Part = 'step' | 'evaluation' | 'checkpoint';
const isPart = (name: string): name is Part => ['step', 'evaluation', 'checkpoint'].includes(name);

/** Measures the parts of a run by its events. */
export class TimeKeeper {
  readonly #end: number;
  readonly #expected: Costs;
  readonly #spent = {
    step: { count: 0, seconds: 0 },
    evaluation: { count: 0, seconds: 0 },
    checkpoint: { count: 0, seconds: 0 },
  };
  readonly #now: () => number;
  #marked: number;
  /** The step and time at which the length has last been set. */
  #fitted: { steps: number; at: number };
  readonly #seconds: number;

  /**
   * @param asked when the run was asked for, in milliseconds of `performance.now()`: its time is counted from there
   * @param seconds the time it has
   * @param expected what its parts cost as long as none of them was measured
   */
  constructor(asked: number, seconds: number, expected: Costs, now = (): number => performance.now()) {
    this.#now = now;
    this.#seconds = seconds;
    this.#end = asked + 1000 * seconds;
    this.#expected = expected;
    this.#marked = now();
    this.#fitted = { steps: 0, at: this.#marked };
  }

  /** The loop has come to an event: the time since the last one is a part's. */
  started(event: string): void {
    if (isPart(event)) this.#spent[event].count++;
    this.handled(event);
  }

  /** What an event has called for is done, which is part of its cost. */
  handled(event: string): void {
    const now = this.#now();
    if (isPart(event)) this.#spent[event].seconds += (now - this.#marked) / 1000;
    this.#marked = now;
  }

  /** The settings with the length set anew, if it is time for that and the length is not settled. */
  refitted(settings: Settings, step: number): Settings | undefined {
    const { count: steps } = this.#spent.step;
    const { steps: before, at } = this.#fitted;
    const isDue =
      steps - before >= refitInterval(steps + settings.maxIters - step) ||
      this.#marked - at >= 1000 * REFIT_SHARE * this.#seconds;
    if (!isDue) return undefined;
    this.#fitted = { steps, at: this.#marked };
    return refit(settings, { step, steps, left: (this.#end - this.#now()) / 1000, costs: this.costs() });
  }

  /** The mean of each part so far; of those not yet seen, what was expected. */
  costs(): Costs {
    const mean = (part: Part): number => {
      const { count, seconds } = this.#spent[part];
      return count === 0 ? this.#expected[part] : seconds / count;
    };
    const step = mean('step');
    const last = this.#expected.last * (step / this.#expected.step);
    return { step, evaluation: mean('evaluation'), checkpoint: mean('checkpoint'), last };
  }
}
