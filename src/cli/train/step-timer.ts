/** Estimates the time left from the completion times of steps. */

export interface StepTimer {
  /** Records that a number of steps are done. */
  mark(step: number): void;
  readonly tokensPerSecond: number;
  /** Seconds since the start. */
  readonly elapsed: number;
  /** Seconds until `maxIters` steps are done; infinite before the first mark. */
  left(maxIters: number): number;
}

/** Long enough to include pauses for evaluations, short enough to follow changes in CPU load. */
const WINDOW_SECONDS = 20;
const MARKS_A_SECOND = 5;

/** @param now in milliseconds */
export function startStepTimer(
  startStep: number,
  tokensPerStep: number,
  now: () => number = () => performance.now(),
): StepTimer {
  const start = now();
  let marks = [{ at: start, step: startStep }];
  let last = marks[0];
  const secondsPerStep = (): number => (last.at - marks[0].at) / 1000 / (last.step - marks[0].step);
  return {
    mark(step) {
      const hasGoneBack = step < last.step;
      last = { at: now(), step };
      if (hasGoneBack) marks = [last];
      if (last.at - marks.at(-1)!.at < 1000 / MARKS_A_SECOND) return;
      marks.push(last);
      while (last.at - marks[1].at > 1000 * WINDOW_SECONDS) marks.shift();
    },
    get tokensPerSecond() {
      return last.step > marks[0].step ? tokensPerStep / secondsPerStep() : 0;
    },
    get elapsed() {
      return (now() - start) / 1000;
    },
    left: (maxIters) => (last.step > marks[0].step ? secondsPerStep() * (maxIters - last.step) : Infinity),
  };
}
