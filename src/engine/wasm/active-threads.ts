/**
 * Chooses the number of active threads for the next program.
 *
 * All threads are active as long as each has a core. If other programs occupy cores, a thread without one makes the others
 * wait at every barrier, and two threads can be many times slower than one. The occupied cores cannot be counted reliably from
 * inside a container or virtual machine, so the number is found by trial: the same programs run with another number of threads
 * for a few milliseconds, and the faster number is kept. Results do not depend on the number.
 *
 * Trials are made only where they may pay off: with fewer threads if the main thread sleeps at barriers for a considerable
 * part of the time, with more while not all are active. A lost trial is not repeated until its cost is below 2 % of the
 * time since.
 */

/** Time constant of the exponential moving averages, in seconds. */
const MEMORY = 0.25;
/** Length of a trial: seconds of programs whose expected time is known. */
const TRIAL_SECONDS = 0.03;
/** Seconds for which a leading trial continues: within one time slice of the scheduler, any number of threads looks fast. */
const CONFIRM_SECONDS = 0.1;
/** A trial below this fraction of the expected speed is lost after a third of TRIAL_SECONDS. */
const HOPELESS = 0.5;
/** Speed-up for which another number of threads is adopted. */
const GAIN = 1.05;
/** Minimum seconds between a change and the next trial. */
const PAUSE = 0.1;
/** The pause after a lost trial, as a multiple of the time lost. */
const REPAY = 50;
/** Each consecutive lost trial of more threads doubles the pause before the next, up to this many seconds. */
const LONGEST_PAUSE = 1.6;
/** Once even a single thread has lost, the pause before the next trial of fewer doubles up to this factor … */
const MAX_PATIENCE = 64;
/** … unless the share of time slept grows by this factor. */
const WORSE = 1.5;

/** Recent speed of one range of a program's instructions. */
export class Pace {
  /** The era of the measurement; see ActiveThreads.#era. */
  era = -1;
  seconds = 0;
  runs = 0;
}

interface Trial {
  readonly count: number;
  /** Seconds of the runs with a known expected time: expected with the present number of threads, and measured. */
  expected: number;
  actual: number;
  /** Seconds of all runs. */
  elapsed: number;
  runs: number;
}

export class ActiveThreads {
  readonly #most: number;
  #count: number;
  /** Number of changes of #count. Paces of different eras are not compared. */
  #era = 0;
  #trial: Trial | undefined;
  /** Total running time of programs, in seconds: the clock of everything below. */
  #clock = 0;
  #nextMore = 0;
  #nextFewer = PAUSE;
  /** Moving averages of running time, and of the time the main thread slept at barriers. */
  #recent = 0;
  #recentSlept = 0;
  /** Consecutive lost trials of fewer and of more threads, and the share of time slept when the last trial of fewer began. */
  #lostFewer = 0;
  #lostMore = 0;
  #tolerated = 0;
  /** Distance of the next trial from the present number. It grows, as dropping one of many threads may change nothing. */
  #stride = 1;

  /** @param most the threads that have started */
  constructor(most: number) {
    this.#most = most;
    this.#count = most;
  }

  /** Threads for the next run of a program. */
  get count(): number {
    return this.#trial?.count ?? this.#count;
  }

  /** The number that has proved fastest, regardless of a running trial. */
  get fastest(): number {
    return this.#count;
  }

  /**
   * Records one run with `count` threads.
   *
   * @param seconds wall time
   * @param slept the part that the main thread slept at barriers, in seconds
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

  /** Dropping a thread without a core pays once the others wait for it longer than it saves them. */
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
    // The first run includes waking the threads; if it is short, that dominates it.
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
