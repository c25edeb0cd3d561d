/** Warnings about incidents that do not end a run: skipped steps, rollbacks, checkpoints that could not be written. */
import { MAX_ROLLBACKS } from '../../train/divergence.ts';
import type { TrainEvent } from '../../train/events.ts';
import type { SaveFailure } from '../../train/session/checkpoint-writer.ts';
import { describeSystemError } from '../errors.ts';
import { formatNumber } from '../../format.ts';
import { printable, warn } from '../terminal.ts';

/** Warns of skipped steps and rollbacks. */
export function warnOfIncident(event: TrainEvent): void {
  if (event.type === 'step' && event.skipped !== undefined) {
    const loss = event.skipped === 'loss spike' ? ` (${event.loss.toFixed(4)})` : '';
    warn(`step ${formatNumber(event.step)}: ${event.skipped}${loss}; the update was skipped`);
  } else if (event.type === 'rollback') {
    const { rollbacks, learningRateFactor } = event.progress.health;
    const to = event.to === 0 ? 'Restarting' : `Resuming from step ${formatNumber(event.to)}`;
    warn(
      `diverged at step ${formatNumber(event.from)}: ${event.cause.fault}; ${printable(event.cause.tensor)}. ` +
        `${to} with ${learningRateFactor} × the learning rate (rollback ${rollbacks} of ${MAX_ROLLBACKS})`,
    );
  }
}

/** Reports checkpoints that could not be written: in full at first, then briefly while the reason stays the same. */
export function saveFailureWarnings(): (failure: SaveFailure) => void {
  let lastReason: string | undefined;
  return ({ step, savedStep, error }) => {
    const reason = `${error.code} after ${savedStep}`;
    const what = `step ${formatNumber(step)} could not be saved`;
    if (reason === lastReason) return warn(`${what} either`);
    lastReason = reason;
    const last =
      savedStep === undefined
        ? 'No checkpoint has been saved yet'
        : `The checkpoint of step ${formatNumber(savedStep)} is intact`;
    warn(
      `${what}: ${printable(describeSystemError(error))}. ` +
        `${last}; training continues, and saving will be retried`,
    );
  };
}
