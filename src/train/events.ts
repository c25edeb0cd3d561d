/** Events of a training run. */
import type { Fault } from './divergence.ts';
import type { Averaging, Progress, Skipped } from './progress.ts';
import type { Settings } from './settings.ts';

export type TrainEvent =
  | {
      readonly type: 'step';
      /** Steps done, including this one. */
      readonly step: number;
      /** Mean loss of the counted targets in nats, before the update; NaN if the step has none. */
      readonly loss: number;
      /** Global norm of the gradient, before clipping. */
      readonly gradNorm: number;
      readonly learningRate: number;
      /** Why the update was skipped; undefined if it was not. */
      readonly skipped: Skipped | undefined;
      /** Wall time of the step. */
      readonly seconds: number;
    }
  | {
      readonly type: 'evaluation';
      readonly step: number;
      /** Estimates in nats per token: means over a sample of each split. */
      readonly trainLoss: number;
      /** Of the weights or, if one is kept, their average, whichever is lower. */
      readonly validationLoss: number;
      /** Validation losses of both; undefined without an average. */
      readonly averaging: Averaging | undefined;
      /** The lowest validation loss so far. */
      readonly best: boolean;
      readonly progress: Progress;
    }
  | {
      /** A checkpoint is due. */
      readonly type: 'checkpoint';
      readonly progress: Progress;
    }
  | {
      /** Training has rolled back to the checkpoint of an earlier step. */
      readonly type: 'rollback';
      readonly from: number;
      readonly to: number;
      readonly cause: DivergenceCause;
      readonly progress: Progress;
    }
  | {
      readonly type: 'end';
      readonly reason: EndReason;
      readonly progress: Progress;
      /**
       * Loss of the best model on the whole validation split, in nats per token. Undefined if the end was not reached or
       * there is no such split.
       */
      readonly validationLoss: number | undefined;
      /** Set if the run diverged. */
      readonly cause: DivergenceCause | undefined;
    };

export type RunEnd = TrainEvent & { readonly type: 'end' };
export type EndReason = 'finished' | 'stopped early' | 'interrupted' | 'diverged';

/** The cause of a divergence. */
export interface DivergenceCause {
  readonly fault: Fault | 'evaluation not finite';
  /** The faulty tensor and its fault, in words. */
  readonly tensor: string;
}

/**
 * Handles the events of a run, for example by saving or displaying them. Training continues when it has returned or its
 * promise has resolved.
 *
 * @param settings of the run at this event: the length of a run with a time limit changes over time
 */
export type EventSink = (event: TrainEvent, settings: Settings) => void | Promise<void>;
