import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { noReport, type Report } from '../../reporting.ts';
import { freshProgress, type Progress } from '../progress.ts';
import { checkStoredOptions } from '../stored-options.ts';
import { progressFromState } from '../stored-progress.ts';
import type { Trainer } from '../trainer.ts';

/** Restores parameters and moments from a checkpoint, or their initial values without one. */
export function restore(
  trainer: Trainer,
  checkpoint: Checkpoint | undefined,
  report: Report = noReport,
): Progress {
  if (checkpoint === undefined) {
    trainer.reset();
    return freshProgress;
  }
  checkStoredOptions(checkpoint);
  // A run may have been stopped while it diverged. Resumed, it rolls back as it would have done without the stop.
  const blocks = 1 + trainer.programs.moments.length; // each of the size of the parameters
  const loaded = (before: number, size: number) => (done: number) =>
    report('loading the checkpoint', (before + done * size) / blocks);
  checkpoint.model.load(trainer.parameters(), { allowNonFinite: true, loaded: loaded(0, 1) });
  checkpoint.loadMoments(trainer.moments(), { allowNonFinite: true, loaded: loaded(1, blocks - 1) });
  return progressFromState(checkpoint.state);
}
