/** What a run shows while it trains. */
import type { TrainEvent } from '../../train/loop.ts';
import type { TrainPlan } from '../../train/train-model.ts';

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
