/**
 * How many of the engine's threads take part in the next program.
 *
 * All of them, while each has a core. Where other programs take cores, a thread without one keeps the others waiting at
 * every barrier, and two threads can be many times slower than one. Cores that are taken cannot be counted reliably from
 * inside (containers, virtual machines), so the number of threads is found by trial: the same programs run with another
 * number for some milliseconds, and the faster number stays. The results do not depend on it.
 *
 * Trials cost time only where there is something to find out: fewer threads are tried if the main thread has slept at
 * barriers for a good part of the time, more threads while not all are active. A trial that lost is not repeated until it has
 * cost less than 2 % of the time since.
 */

/** Running means over the recent past: older runs fade with this time constant, in seconds. */
const MEMORY = 0.25;
/** A trial is decided after this many seconds of programs whose expected time is known. */
const TRIAL_SECONDS = 0.03;
/** A trial that is ahead continues for this long: between two time slices of the scheduler, any number of threads looks fast. */
const CONFIRM_SECONDS = 0.1;
/** A trial that is at this fraction of the expected speed after a third of that time is lost. */
const HOPELESS = 0.5;
/** How much faster another number of threads has to be to replace the present one. */
const GAIN = 1.05;
/** Seconds between the last change and the next trial, at least. */
const PAUSE = 0.1;
/** The pause after a lost trial, as a multiple of the time that it lost. */
const REPAY = 50;
/** Lost trials of more threads in a row double the pause before the next, up to this many seconds. */
const LONGEST_PAUSE = 1.6;
/** Once even one thread has lost, the time to the next trial of fewer doubles up to this factor, unless waiting gets this much worse. */
const MAX_PATIENCE = 64;
const WORSE = 1.5;

/** The recent speed of one stretch of a program; its runner keeps it. */
export class Pace {
  /** Which number of threads it was measured with, see ActiveThreads.#era. */
  era = -1;
  seconds = 0;
  runs = 0;
}

interface Trial {
  readonly count: number;
  /** Of the runs whose expected time is known: what it is with the present number of threads, and what they took. */
  expected: number;
  actual: number;
  /** Of all runs, in seconds. */
  elapsed: number;
  runs: number;
}

export class ActiveThreads {
  readonly #most: number;
  #count: number;
  /** Counts the changes of #count, so that no pace from before a change is compared with one from after it. */
  #era = 0;
  #trial: Trial | undefined;
  /** Seconds that programs have run in all: the clock of everything below. */
  #clock = 0;
  #nextMore = 0;
  #nextFewer = PAUSE;
  /** Recent seconds, and how many of them the main thread has slept at barriers. */
  #recent = 0;
  #recentSlept = 0;
  /** Lost trials of fewer and of more threads in a row, and the share of time slept when the last of fewer began. */
  #lostFewer = 0;
  #lostMore = 0;
  #tolerated = 0;
  /** How far from the present number the next trial is: 1, then wider, as dropping one of many threads may change nothing. */
  #stride = 1;

  /** @param most the threads that have started */
  constructor(most: number) {
    this.#most = most;
    this.#count = most;
  }

  /** For the next run of a program. */
  get count(): number {
    return this.#trial?.count ?? this.#count;
  }

  /** The number that has proved fastest, whatever is being tried. */
  get settled(): number {
    return this.#count;
  }

  /**
   * Takes note of one run with `count` threads.
   *
   * @param seconds wall time
   * @param slept seconds of it that the main thread slept at barriers
   */
  record(pace: Pace, seconds: number, slept: number): void {
    this.#clock += seconds;
    if (this.#trial !== undefined) {
      this.#recordTrial(this.#trial, pace, seconds);
      return;
    }
    if (pace.era !== this.#era) Object.assign(pace, { era: this.#era, seconds: 0, runs: 0 });
    const fade = MEMORY / (MEMORY + seconds);
    pace.seconds = pace.seconds * fade + seconds;
    pace.runs = pace.runs * fade + 1;
    this.#recent = this.#recent * fade + seconds;
    this.#recentSlept = this.#recentSlept * fade + slept;
    if (this.#suspectsTakenCores()) this.#startTrial(Math.max(1, this.#count - this.#stride));
    else if (this.#count < this.#most && this.#clock >= this.#nextMore)
      this.#startTrial(Math.min(this.#most, this.#count + this.#stride));
  }

  /** Of n threads, dropping one that has no core gains time once the others wait for it longer than it helps. */
  #suspectsTakenCores(): boolean {
    if (this.#count === 1 || this.#recent < PAUSE / 2) return false;
    const share = this.#recentSlept / this.#recent;
    if (share < 1 / (4 * this.#count)) return false;
    return this.#clock >= this.#nextFewer || (this.#lostFewer > 1 && share > WORSE * this.#tolerated);
  }

  #startTrial(count: number): void {
    this.#trial = { count, expected: 0, actual: 0, elapsed: 0, runs: 0 };
    if (count < this.#count) this.#tolerated = this.#recentSlept / this.#recent;
  }

  #recordTrial(trial: Trial, pace: Pace, seconds: number): void {
    trial.elapsed += seconds;
    trial.runs++;
    const isKnown = pace.era === this.#era;
    // The first run includes waking the threads up; where it is short, it says little else.
    const isFirstShort = trial.runs === 1 && seconds < TRIAL_SECONDS / 3;
    if (isKnown && !isFirstShort) {
      trial.expected += pace.seconds / pace.runs;
      trial.actual += seconds;
    }
    const speed = trial.expected / trial.actual;
    const isHopeless = trial.actual > TRIAL_SECONDS / 3 && speed < HOPELESS;
    const isUndecidable = trial.elapsed > 20 * TRIAL_SECONDS && trial.actual === 0;
    const needed = speed > GAIN ? CONFIRM_SECONDS : TRIAL_SECONDS;
    if (trial.actual < needed && !isHopeless && !isUndecidable) return;
    this.#trial = undefined;
    if (speed > GAIN) this.#adopt(trial.count);
    else this.#decline(trial);
  }

  #adopt(count: number): void {
    this.#stride = 1;
    this.#count = count;
    this.#era++;
    this.#recent = this.#recentSlept = 0;
    this.#lostFewer = this.#lostMore = this.#tolerated = 0;
    this.#nextMore = this.#nextFewer = this.#clock + PAUSE;
  }

  #decline({ count, actual, expected }: Trial): void {
    const isWidest = count === 1 || count === this.#most;
    this.#stride = isWidest ? 1 : 2 * this.#stride;
    const repaid = this.#clock + Math.max(PAUSE, REPAY * (actual - expected));
    if (count > this.#count) {
      if (isWidest) this.#lostMore++;
      const pause = Math.min(LONGEST_PAUSE, PAUSE * 2 ** this.#lostMore);
      this.#nextMore = Math.max(repaid, this.#clock + pause);
      return;
    }
    if (isWidest) this.#lostFewer++;
    this.#nextFewer = repaid + (isWidest ? PAUSE * Math.min(MAX_PATIENCE, 2 ** this.#lostFewer) : 0);
  }
}
