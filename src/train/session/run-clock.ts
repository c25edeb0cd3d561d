/**
 * The decisions of a run that depend on the wall clock or on signals.
 *
 * Everything else in the training loop is a pure function of settings, data and progress, so processes that get the same
 * answers here take the same steps. Where several ranks train one model, one of them asks its own clock and broadcasts the
 * answers; the others wait for them.
 */
import { SIGNAL_POLL_SECONDS, startPolling, type Poll } from '../../polling.ts';
import type { TrainEvent } from '../events.ts';
import { saveInterval } from '../save-every.ts';
import type { Settings } from '../settings.ts';
import type { TimeBudget } from './time-budget.ts';

type EventType = TrainEvent['type'];

/** Each answer may be a promise: another process may have to be asked. */
export interface RunClock {
  /** Whether to save and end the run. Asked before each step and each evaluation. */
  readonly isInterrupted: () => boolean | Promise<boolean>;
  /**
   * Polled within a computation, at intervals that differ from process to process: true abandons it. Abandoned work is
   * repeated when the run is resumed, so ranks that have to do the same may answer false here and stop at the next step.
   */
  readonly poll: Poll;
  /** Whether to write a checkpoint after a step because the last one is old. Asked where no other reason calls for one. */
  readonly isCheckpointOld: (settings: Settings) => boolean | Promise<boolean>;
  /** The settings to continue with after `step` steps; the same ones unless the run is fitted to a time. */
  readonly adjustLength: (settings: Settings, step: number) => Settings | Promise<Settings>;
  /** Told when an event occurs, before `adjustLength`, and when all sinks have acted on it. */
  readonly eventReached: (type: EventType) => void;
  readonly eventHandled: (type: EventType) => void;
}

/**
 * The clock of a run in one process.
 *
 * @param interrupted whether a signal has arrived; once it says yes, the run ends
 * @param budget of a run that is fitted to a time
 */
export function localClock(
  interrupted: () => boolean | Promise<boolean> = () => false,
  budget?: TimeBudget,
): RunClock {
  let hasStopped = false;
  let savedAt = performance.now();
  const isInterrupted = async (): Promise<boolean> => (hasStopped ||= await interrupted());
  return {
    isInterrupted,
    poll: startPolling(isInterrupted, SIGNAL_POLL_SECONDS),
    isCheckpointOld: ({ saveEvery }) =>
      performance.now() - savedAt >= 1000 * (saveInterval(saveEvery).seconds ?? Infinity),
    adjustLength: (settings, step) => budget?.refitted(settings, step) ?? settings,
    eventReached: (type) => budget?.eventReached(type),
    eventHandled(type) {
      budget?.eventHandled(type);
      if (type === 'checkpoint') savedAt = performance.now();
    },
  };
}
