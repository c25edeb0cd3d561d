/** What a run shows while it goes on. */
import { canRedraw, isQuiet } from '../terminal.ts';
import type { TrainEvent } from '../../train/loop.ts';
import type { TrainPlan } from '../../train/train-model.ts';
import { createLiveView } from './live-view.ts';
import { createLogView } from './log-view.ts';

export interface TrainView {
  readonly start: (plan: TrainPlan) => void;
  readonly event: (event: TrainEvent) => void;
  /** The run is going to have another length than was said. */
  readonly refitted: (maxIters: number) => void;
  /** The whole validation split is being evaluated, after the last step; 0 … 1. */
  readonly evaluated: (done: number) => void;
  readonly sample: (text: string, step: number) => void;
  readonly end: () => void;
}

/** Curves, sample and progress in place on a terminal; lines elsewhere. */
export const createView = (): TrainView => (canRedraw() && !isQuiet() ? createLiveView() : createLogView());
