/**
 * The decisions of a run that depend on the wall clock or on signals.
 *
 * Everything else in the training loop is a pure function of settings, data and progress, so processes that get the same
 * answers here take the same steps. If several ranks train one model, one of them consults its clock and broadcasts the
 * answers.
 */
import { SIGNAL_POLL_SECONDS, startPolling, type Poll } from '../../polling.ts';
import type { TrainEvent } from '../events.ts';
import { saveInterval } from '../save-every.ts';
import type { Settings } from '../settings.ts';
import type { TimeBudget } from './time-budget.ts';

type EventType = TrainEvent['type'];

/** Answers may be promises, since they may come from another process. */
export interface RunClock {
  /** Whether to save and end the run. Asked before each step and each evaluation. */
  readonly isInterrupted: () => boolean | Promise<boolean>;
  /**
   * Polled within a computation, at intervals that differ between processes; true abandons the computation. Abandoned work is
   * repeated on resuming, so ranks that must stay in step may answer false here and stop at the next step.
   */
  readonly poll: Poll;
  /** Whether a step needs a checkpoint because the last one is old. Asked only if none is due for another reason. */
  readonly isCheckpointOld: (settings: Settings) => boolean | Promise<boolean>;
  /** Whether `isCheckpointOld` or `adjustLength` would decide something now; decisions wait until submitted steps are done. */
  readonly isDecisionDue: (settings: Settings, step: number) => boolean | Promise<boolean>;
  /** The settings to continue with after `step` steps; unchanged unless the run has a time limit. */
  readonly adjustLength: (settings: Settings, step: number) => Settings | Promise<Settings>;
  /** Called when an event occurs, before `adjustLength`, and after all sinks have handled it. */
  readonly eventReached: (type: EventType) => void;
  readonly eventHandled: (type: EventType) => void;
}

/**
 * The clock of a run in one process.
 *
 * @param interrupted whether a signal has arrived, which ends the run
 * @param budget of a run with a time limit
 */
export function localClock(
  interrupted: () => boolean | Promise<boolean> = () => false,
  budget?: TimeBudget,
): RunClock {
  let hasStopped = false;
  let savedAt = performance.now();
  const isInterrupted = async (): Promise<boolean> => (hasStopped ||= await interrupted());
  const isCheckpointOld = ({ saveEvery }: Settings): boolean =>
    performance.now() - savedAt >= 1000 * (saveInterval(saveEvery).seconds ?? Infinity);
  return {
    isInterrupted,
    poll: startPolling(isInterrupted, SIGNAL_POLL_SECONDS),
    isCheckpointOld,
    isDecisionDue: (settings, step) =>
      isCheckpointOld(settings) || budget?.isCorrectionDue(settings, step) === true,
    adjustLength: (settings, step) => budget?.refitted(settings, step) ?? settings,
    eventReached: (type) => budget?.eventReached(type),
    eventHandled(type) {
      budget?.eventHandled(type);
      if (type === 'checkpoint') savedAt = performance.now();
    },
  };
}
