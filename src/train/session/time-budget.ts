/** Keeps a run within its time limit: measures the cost of its parts and corrects its length. */
import { evaluationBatchSize } from '../programs.ts';
import { refit, REFIT_SHARE, refitInterval, timeForTraining, type Costs } from '../run-time.ts';
import type { Settings } from '../settings.ts';

/** Longest time between corrections, as a fraction of the time left. */
const REFIT_SHARE_OF_REST = 0.25;
/** Reserve for the work after the last step, which cannot be corrected: a share of its cost, at most a share of the limit. */
const [RESERVE, MAX_RESERVE] = [0.25, 0.08];
/** Time constant of the moving average over steps, as a fraction of the time limit. */
const MEMORY = 0.1;
/** Number of recent evaluations and checkpoints whose median is used. */
const MEDIAN_OF = 5;

/**
 * Ratio of the batches in the whole validation split to those of an evaluation, which covers a sample of each split, and that
 * of the validation split once more for an average of the weights.
 */
export function wholePerSample(
  {
    batchSize,
    blockSize,
    evalIters,
    emaDecay,
  }: Pick<Settings, 'batchSize' | 'blockSize' | 'evalIters' | 'emaDecay'>,
  tokens: { readonly train: number; readonly validation: number },
): number {
  const windows = (length: number): number => Math.ceil(Math.max(0, length - 1) / blockSize);
  const batches = (count: number): number => Math.ceil(count / evaluationBatchSize(batchSize, blockSize));
  const sample = (length: number): number => batches(Math.min(windows(length), evalIters * batchSize));
  const { train, validation } = tokens;
  const models = emaDecay > 0 ? 2 : 1;
  const sampled = sample(train) + models * sample(validation > 0 ? validation : train);
  return batches(windows(validation)) / sampled;
}

/** A moving average with exponentially decaying weights. */
class FadingMean {
  #sum = 0;
  #weight = 0;

  /** @param fade factor applied to the weights of all earlier values */
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
 * The median of the latest values. Outliers are large: a disk or core is busy for a moment, or V8 has not compiled the code
 * yet.
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

export interface TimeBudgetOptions {
  /** Start of the run's time, in milliseconds of `performance.now()`. */
  readonly asked: number;
  /** The limit. */
  readonly seconds: number;
  /** Estimated costs of parts not measured yet. */
  readonly expected: Costs;
  /** Upper limit on the steps of the whole run, however much time is left. */
  readonly maxSteps: number;
  /** See the function of this name. */
  readonly wholePerSample: number;
  /** In milliseconds. */
  readonly now?: () => number;
}

/** Measures the parts of a run between its events. */
export class TimeBudget {
  readonly #limit: TimeBudgetOptions;
  readonly #now: () => number;
  /** In seconds. */
  readonly #step = new FadingMean();
  readonly #checkpoint: RecentMedian;
  /**
   * Costs of an evaluation with its preview and of the final evaluation, in units of a step, since all slow down together.
   */
  readonly #evaluation: RecentMedian;
  readonly #last: RecentMedian;
  #steps = 0;
  #marked: number;
  /** Seconds that the current part took up to its event. */
  #pending = 0;
  /** Steps and time of the last correction. */
  #fitted: { steps: number; at: number };

  constructor(limit: TimeBudgetOptions) {
    this.#limit = limit;
    const { expected } = limit;
    this.#checkpoint = new RecentMedian(expected.checkpoint);
    this.#evaluation = new RecentMedian(expected.evaluation / expected.step);
    this.#last = new RecentMedian(expected.last / expected.step);
    this.#now = limit.now ?? (() => performance.now());
    this.#marked = this.#now();
    this.#fitted = { steps: 0, at: this.#marked };
  }

  /** The time since the previous event belongs to the part that this event ends. */
  eventReached(event: string): void {
    this.#pending = this.#sinceMark();
    if (event === 'step') this.#steps++;
    if (event === 'evaluation')
      this.#last.add((this.#limit.wholePerSample * this.#pending) / this.#stepSeconds);
  }

  /** The handling of the event belongs to the part too. */
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

  /** Whether the length is to be corrected. @param step steps done */
  isCorrectionDue(settings: Settings, step: number): boolean {
    const { asked, seconds } = this.#limit;
    const { steps: before, at } = this.#fitted;
    const now = this.#now();
    const end = asked + 1000 * seconds;
    return (
      this.#steps - before >= refitInterval(this.#steps + settings.maxIters - step) ||
      now - at >= 1000 * REFIT_SHARE * seconds ||
      now - at >= REFIT_SHARE_OF_REST * (end - now)
    );
  }

  /** The settings with a corrected length; undefined if no correction is due or needed. */
  refitted(settings: Settings, step: number): Settings | undefined {
    if (!this.isCorrectionDue(settings, step)) return undefined;
    const { asked, seconds, maxSteps } = this.#limit;
    const now = this.#now();
    this.#fitted = { steps: this.#steps, at: now };
    const costs = this.costs();
    const rest = costs.evaluation + costs.checkpoint + costs.last;
    const reserve = Math.min(RESERVE * rest, MAX_RESERVE * seconds);
    const left = timeForTraining(seconds, costs.last) - (now - asked) / 1000 - reserve;
    return refit(settings, { step, steps: this.#steps, left, seconds, costs, maxSteps });
  }

  /** Recent costs of the parts; the expected ones where none have been measured. */
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
