/** The view of a run in a file or pipe: an occasional line. */
import { formatDuration, formatNumber, formatPercent, formatRate } from '../../format.ts';
import { isAverageBetter, type Averaging } from '../../train/progress.ts';
import { notice, printable, stderrColors } from '../terminal.ts';
import { foldText } from './frame.ts';
import { startStepTimer, type StepTimer } from './step-timer.ts';
import type { TrainView } from './view.ts';

const SECONDS_BETWEEN_LINES = 5;
const WIDTH = 95;

/** Whether the validation loss is that of the weights or of their moving average, with the loss of the other. */
function comparison(averaging: Averaging | undefined): string {
  if (averaging === undefined) return '';
  const { weightsLoss, averageLoss } = averaging;
  return isAverageBetter(averaging)
    ? ` (average; weights ${weightsLoss.toFixed(4)})`
    : ` (weights; average ${averageLoss.toFixed(4)})`;
}

export function createLogView(): TrainView {
  let timer: StepTimer | undefined;
  let uniformLoss = 0;
  let printed = 0;
  /** The current work between two steps, and its start. */
  let begun: { readonly what: string; readonly at: number } | undefined;

  /** The first step, then a line every few seconds, to keep logs short. */
  function isTimeForLine(step: number): boolean {
    if (step > 1 && performance.now() - printed < 1000 * SECONDS_BETWEEN_LINES) return false;
    printed = performance.now();
    return true;
  }

  return {
    start(run) {
      timer = startStepTimer(run.startStep, run.tokensPerStep);
      ({ uniformLoss } = run);
      printed = performance.now();
    },
    event(event, { maxIters }) {
      begun = undefined;
      if (event.type === 'step') {
        timer!.mark(event.step);
        if (event.step === 1)
          // a resumed run has no first loss
          notice(
            stderrColors.dim(
              `first loss ${event.loss.toFixed(4)}; guessing costs ln(V) = ${uniformLoss.toFixed(4)}`,
            ),
          );
        if (!isTimeForLine(event.step)) return;
        const rate = formatRate(timer!.tokensPerSecond, 'tok');
        const left = formatDuration(Math.ceil(timer!.left(maxIters)));
        notice(`step ${event.step}/${maxIters}  loss ${event.loss.toFixed(4)}  ${rate}  ETA ${left}`);
      } else if (event.type === 'evaluation') {
        const mark = event.best ? stderrColors.green(' best') : '';
        notice(
          `${stderrColors.bold(`step ${formatNumber(event.step)}`)}  train ${event.trainLoss.toFixed(4)}  val ${event.validationLoss.toFixed(4)}${comparison(event.averaging)}${mark}`,
        );
      }
    },
    working(what, done) {
      const now = performance.now();
      if (what !== begun?.what) begun = { what, at: now };
      if (now - Math.max(begun.at, printed) < 1000 * SECONDS_BETWEEN_LINES) return;
      printed = now;
      notice(done === undefined ? `${what} …` : `${what} ${formatPercent(done, 0)}`);
    },
    sample(text) {
      for (const line of foldText(printable(text), WIDTH)) notice(stderrColors.dim(`  │ ${line}`));
    },
    end() {},
  };
}
