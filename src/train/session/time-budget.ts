/** Keeps a run to the time it was given: measures what its parts cost, and says when and how its length is corrected. */
import { evaluationBatchSize } from '../programs.ts';
import { refit, refitInterval, timeForTraining, type Costs } from '../run-time.ts';
import type { Settings } from '../settings.ts';

/** The length is corrected at least as often as this share of the time, and near the end of what is left. */
const REFIT_SHARE = 0.05;
const REFIT_SHARE_OF_REST = 0.25;
/** Kept in reserve: this share of what comes after the last step, which cannot be corrected any more, up to this share of the time. */
const [RESERVE, MOST_RESERVE] = [0.25, 0.08];
/** Means over the recent past: older steps fade with this time constant, as a share of the run's time. */
const MEMORY = 0.1;
/** Evaluations and checkpoints are few. */
const MEDIAN_OF = 5;

/** Batches of the whole validation split, divided by those of an evaluation on samples of both splits. */
export function wholePerSample(
  { batchSize, blockSize, evalIters }: Pick<Settings, 'batchSize' | 'blockSize' | 'evalIters'>,
  tokens: { readonly train: number; readonly validation: number },
): number {
  const windows = (length: number): number => Math.ceil(Math.max(0, length - 1) / blockSize);
  const batches = (count: number): number => Math.ceil(count / evaluationBatchSize(batchSize, blockSize));
  const sample = (length: number): number => batches(Math.min(windows(length), evalIters * batchSize));
  const { train, validation } = tokens;
  return batches(windows(validation)) / (sample(train) + sample(validation > 0 ? validation : train));
}

/** A mean in which earlier values fade. */
class FadingMean {
  #sum = 0;
  #weight = 0;

  /** @param fade the factor by which everything before counts less */
  add(value: number, fade: number): void {
    this.#sum = fade * this.#sum + value;
    this.#weight = fade * this.#weight + 1;
  }

  /** Undefined before the first value. */
  get value(): number | undefined {
    return this.#weight === 0 ? undefined : this.#sum / this.#weight;
  }
}

/**
 * The median of the latest values. One may be many times larger than the others: where a disk or a core is busy for a
 * moment, or because V8 has not compiled the code yet.
 */
class RecentMedian {
  readonly #recent: number[];

  /** @param expected counts as the first value */
  constructor(expected: number) {
    this.#recent = [expected];
  }

  add(value: number): void {
    this.#recent.push(value);
    if (this.#recent.length > MEDIAN_OF) this.#recent.shift();
  }

  get value(): number {
    return this.#recent.toSorted((a, b) => a - b)[Math.floor((this.#recent.length - 1) / 2)];
  }
}

export interface TimeLimit {
  /** When the run was asked for, in milliseconds of `performance.now()`: its time is counted from there. */
  readonly asked: number;
  /** The time it has. */
  readonly seconds: number;
  /** What its parts cost as long as none of them was measured. */
  readonly expected: Costs;
  /** See the function of this name. */
  readonly wholePerSample: number;
  /** In milliseconds. */
  readonly now?: () => number;
}

/** Measures the parts of a run by its events. */
export class TimeBudget {
  readonly #limit: TimeLimit;
  readonly #now: () => number;
  /** In seconds. */
  readonly #step = new FadingMean();
  readonly #checkpoint: RecentMedian;
  /**
   * An evaluation with what follows it, and the forward passes of the one at the end, in steps: both become slower where
   * steps do.
   */
  readonly #evaluation: RecentMedian;
  readonly #last: RecentMedian;
  #steps = 0;
  #marked: number;
  /** Seconds that the part under way has taken up to its event. */
  #pending = 0;
  /** The step and time at which the length has last been set. */
  #fitted: { steps: number; at: number };

  constructor(limit: TimeLimit) {
    this.#limit = limit;
    const { expected } = limit;
    this.#checkpoint = new RecentMedian(expected.checkpoint);
    this.#evaluation = new RecentMedian(expected.evaluation / expected.step);
    this.#last = new RecentMedian(expected.last / expected.step);
    this.#now = limit.now ?? (() => performance.now());
    this.#marked = this.#now();
    this.#fitted = { steps: 0, at: this.#marked };
  }

  /** The loop has come to an event: the time since the last one is a part's. */
  eventReached(event: string): void {
    this.#pending = this.#sinceMark();
    if (event === 'step') this.#steps++;
    if (event === 'evaluation')
      this.#last.add((this.#limit.wholePerSample * this.#pending) / this.#stepSeconds);
  }

  /** What an event has called for is done, which is part of its cost. */
  eventHandled(event: string): void {
    const seconds = this.#pending + this.#sinceMark();
    this.#pending = 0;
    const memory = MEMORY * this.#limit.seconds;
    if (event === 'step') this.#step.add(seconds, memory / (memory + seconds));
    if (event === 'evaluation') this.#evaluation.add(seconds / this.#stepSeconds);
    if (event === 'checkpoint') this.#checkpoint.add(seconds);
  }

  get #stepSeconds(): number {
    return this.#step.value ?? this.#limit.expected.step;
  }

  #sinceMark(): number {
    const before = this.#marked;
    this.#marked = this.#now();
    return (this.#marked - before) / 1000;
  }

  /** The settings with the length set anew, if it is time for that and it changes. */
  refitted(settings: Settings, step: number): Settings | undefined {
    const { asked, seconds } = this.#limit;
    const { steps: before, at } = this.#fitted;
    const now = this.#now();
    const end = asked + 1000 * seconds;
    const isDue =
      this.#steps - before >= refitInterval(this.#steps + settings.maxIters - step) ||
      now - at >= 1000 * REFIT_SHARE * seconds ||
      now - at >= REFIT_SHARE_OF_REST * (end - now);
    if (!isDue) return undefined;
    this.#fitted = { steps: this.#steps, at: now };
    const costs = this.costs();
    const rest = costs.evaluation + costs.checkpoint + costs.last;
    const reserve = Math.min(RESERVE * rest, MOST_RESERVE * seconds);
    const left = timeForTraining(seconds, costs.last) - (now - asked) / 1000 - reserve;
    return refit(settings, { step, steps: this.#steps, left, seconds, costs });
  }

  /** Of each part in the recent past; of those not yet seen, what was expected. */
  costs(): Costs {
    const step = this.#stepSeconds;
    return {
      step,
      evaluation: step * this.#evaluation.value,
      checkpoint: this.#checkpoint.value,
      last: step * this.#last.value,
    };
  }
}
