/** Displays a run while it trains. */
import type { Settings } from '../../train/settings.ts';
import type { Report } from '../../reporting.ts';
import type { TrainEvent } from '../../train/events.ts';
import type { RunDescription } from '../../train/train-handlers.ts';

export interface TrainView {
  readonly start: (run: RunDescription) => void;
  /** @param settings at this event: the length of a run with a time limit changes */
  readonly event: (event: TrainEvent, settings: Pick<Settings, 'maxIters'>) => void;
  /** Progress of work between two steps. */
  readonly working: Report;
  readonly sample: (text: string, step: number) => void;
  readonly end: () => void;
}
