import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { freshProgress, type Progress } from '../progress.ts';
import { checkStoredOptions } from '../stored-options.ts';
import { progressFromState } from '../stored-progress.ts';
import type { Trainer } from '../trainer.ts';

/** Restores parameters and moments from a checkpoint, or their initial values without one. */
export function restore(trainer: Trainer, checkpoint: Checkpoint | undefined): Progress {
  if (checkpoint === undefined) {
    trainer.reset();
    return freshProgress;
  }
  checkStoredOptions(checkpoint);
  // A run may have been stopped while it diverged. Resumed, it rolls back as it would have done without the stop.
  checkpoint.model.load(trainer.parameters(), { allowNonFinite: true });
  checkpoint.loadMoments(trainer.moments(), { allowNonFinite: true });
  return progressFromState(checkpoint.state);
}
