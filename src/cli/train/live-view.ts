/** The view of a run on a terminal: a block of lines that is redrawn in place. */
import { readLogs, type RunLogs } from '../../checkpoint/logs.ts';
import type { TrainEvent } from '../../train/events.ts';
import type { RunDescription } from '../../train/train-handlers.ts';
import { SHOWN_AFTER } from '../activity.ts';
import { startLiveBlock, type LiveBlock } from '../live-block.ts';
import { printable, stderrColors } from '../terminal.ts';
import { renderFrame, type Shown } from './frame.ts';
import { createLossCurve, type LossCurve, type Point } from './loss-curve.ts';
import { startStepTimer, type StepTimer } from './step-timer.ts';
import type { TrainView } from './view.ts';

const REDRAWS_A_SECOND = 8;
/** Points of the training curve. */
const MAX_POINTS = 240;

/** What a frame shows, without the training curve and times. */
type State = Omit<Shown, 'trainLosses' | 'tokensPerSecond' | 'elapsed' | 'left'>;

export function createLiveView(): TrainView {
  let block: LiveBlock | undefined;
  let timer: StepTimer | undefined;
  let drawn = 0;
  /** The current work between two steps, and its start. */
  let begun: { readonly what: string; readonly at: number } | undefined;
  const curve = createLossCurve(MAX_POINTS);
  let shown: State = {
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
    tokensPerSecond: timer?.tokensPerSecond ?? 0,
    elapsed: timer?.elapsed ?? 0,
    left: timer?.left(shown.maxIters) ?? Infinity,
  });
  const redraw = (): void => {
    drawn = performance.now();
    block?.update();
  };

  return {
    start(run) {
      timer = startStepTimer(run.startStep, run.tokensPerStep);
      shown = { ...shown, step: run.startStep, maxIters: run.settings.maxIters };
      shown = { ...shown, ...recall(run, curve) };
      block = startLiveBlock((columns, rows) => renderFrame(current(), columns, rows, stderrColors));
    },
    event(event, { maxIters }) {
      begun = undefined;
      shown = afterEvent({ ...shown, maxIters, activity: undefined }, event);
      if (event.type === 'evaluation') redraw();
      if (event.type === 'rollback') curve.rollBack(event.to);
      if (event.type !== 'step') return;
      timer?.mark(event.step);
      if (event.skipped === undefined) curve.add(event.step, event.loss);
      if (performance.now() - drawn > 1000 / REDRAWS_A_SECOND) redraw();
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

type Resumed = Pick<RunDescription, 'folder' | 'startStep' | 'textChange'>;

/** The evaluations that a resumed run logged up to its checkpoint. The training losses are added to `curve`. */
function recall(run: Resumed, curve: LossCurve): Partial<State> {
  const logs = earlierLogs(run);
  if (logs === undefined) return {};
  const isEarlier = ({ step }: { readonly step: number }): boolean => step <= run.startStep;
  for (const { step, loss } of logs.steps.filter(isEarlier)) if (Number.isFinite(loss)) curve.add(step, loss);
  const validationLosses = logs.evaluations
    .filter(isEarlier)
    .map(({ step, validationLoss }): Point => [step, validationLoss]);
  const [best] = validationLosses.toSorted(([, a], [, b]) => a - b);
  return { validationLosses, best };
}

/** Undefined if they are of another text or cannot be read, which is no reason not to train. */
function earlierLogs({ folder, startStep, textChange }: Resumed): RunLogs | undefined {
  if (startStep === 0 || textChange !== undefined) return undefined;
  try {
    return readLogs(folder);
  } catch {
    return undefined;
  }
}

function afterEvent(shown: State, event: TrainEvent): State {
  switch (event.type) {
    case 'step':
      return { ...shown, step: event.step, loss: event.loss };
    case 'evaluation': {
      const point: Point = [event.step, event.validationLoss];
      const validationLosses = [...shown.validationLosses, point];
      return { ...shown, validationLosses, best: event.best ? point : shown.best };
    }
    case 'rollback': {
      const validationLosses = shown.validationLosses.filter(([step]) => step <= event.to);
      return { ...shown, step: event.to, validationLosses };
    }
    case 'checkpoint':
    case 'end':
      return shown;
    default:
      return event satisfies never;
  }
}
