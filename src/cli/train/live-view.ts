/** The view of a run on a terminal: a block of lines that is redrawn in place. */
import { startLiveBlock, type LiveBlock } from '../live-block.ts';
import { printable, stderrColors } from '../terminal.ts';
import { renderFrame, type Shown } from './frame.ts';
import { createLossCurve, type Point } from './loss-curve.ts';
import { startPace, type Pace } from './pace.ts';
import type { TrainView } from './view.ts';

const REDRAWS_A_SECOND = 8;
/** In milliseconds. Work that is done sooner than that is not shown. */
const SHOWN_AFTER = 300;
/** Points of the training curve. */
const MOST_POINTS = 240;

export function createLiveView(): TrainView {
  let block: LiveBlock | undefined;
  let pace: Pace | undefined;
  let drawn = 0;
  /** The work between two steps that is being done, and since when. */
  let begun: { readonly what: string; readonly at: number } | undefined;
  const curve = createLossCurve(MOST_POINTS);
  let shown: Omit<Shown, 'trainLosses' | 'tokensPerSecond' | 'elapsed' | 'left'> = {
    step: 0,
    maxIters: 1,
    validationLosses: [],
    best: undefined,
    loss: undefined,
    activity: undefined,
    sample: undefined,
  };

  const current = (): Shown => ({
    ...shown,
    trainLosses: curve.points,
    tokensPerSecond: pace?.tokensPerSecond ?? 0,
    elapsed: pace?.elapsed ?? 0,
    left: pace?.left(shown.maxIters) ?? Infinity,
  });
  const redraw = (): void => {
    drawn = performance.now();
    block?.update();
  };

  return {
    start(run) {
      pace = startPace(run.startStep, run.tokensPerStep);
      shown = { ...shown, step: run.startStep, maxIters: run.settings.maxIters };
      block = startLiveBlock((columns, rows) => renderFrame(current(), columns, rows, stderrColors));
    },
    event(event, { maxIters }) {
      begun = undefined;
      shown = { ...shown, maxIters, activity: undefined };
      if (event.type === 'step') {
        pace?.mark(event.step);
        shown = { ...shown, step: event.step, loss: event.loss };
        if (event.skipped === undefined) curve.add(event.step, event.loss);
        if (performance.now() - drawn > 1000 / REDRAWS_A_SECOND) redraw();
      } else if (event.type === 'evaluation') {
        const point: Point = [event.step, event.validationLoss];
        shown = {
          ...shown,
          validationLosses: [...shown.validationLosses, point],
          best: event.best ? point : shown.best,
        };
        redraw();
      } else if (event.type === 'rollback') {
        curve.rollBack(event.to);
        const validationLosses = shown.validationLosses.filter(([step]) => step <= event.to);
        shown = { ...shown, step: event.to, validationLosses };
      }
    },
    working(what, done) {
      const now = performance.now();
      if (what !== begun?.what) begun = { what, at: now };
      if (now - begun.at < SHOWN_AFTER || now - drawn <= 1000 / REDRAWS_A_SECOND) return;
      shown = { ...shown, activity: { what, done } };
      redraw();
    },
    sample(text, step) {
      shown = { ...shown, sample: { text: printable(text), step } };
      redraw();
    },
    end() {
      shown = { ...shown, activity: undefined };
      block?.stop();
    },
  };
}
