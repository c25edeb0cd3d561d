import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { noReport, type Report } from '../../reporting.ts';
import { freshProgress, type Progress } from '../progress.ts';
import type { StartingModel } from '../starting-model.ts';
import { checkStoredOptions } from '../stored-options.ts';
import { progressFromState } from '../stored-progress.ts';
import type { Trainer } from '../trainer.ts';

/** The initial state of a new run: the parameters of its starting model, or random ones. */
export function start(
  trainer: Trainer,
  model: StartingModel | undefined,
  report: Report = noReport,
): Progress {
  if (model === undefined) trainer.initialize(report);
  else {
    trainer.initializeUntrained();
    model.load(trainer.parameters());
  }
  return freshProgress;
}

/** Restores parameters and moments from a checkpoint. */
export function restore(trainer: Trainer, checkpoint: Checkpoint, report: Report = noReport): Progress {
  checkStoredOptions(checkpoint);
  // A run may have been stopped while it diverged: a resumed run rolls back as an uninterrupted one would.
  const blocks = 1 + trainer.programs.moments.length; // each the size of the parameters
  const loaded = (before: number, size: number) => (done: number) =>
    report('loading the checkpoint', (before + done * size) / blocks);
  checkpoint.model.load(trainer.parameters(), { allowNonFinite: true, loaded: loaded(0, 1) });
  checkpoint.loadMoments(trainer.moments(), { allowNonFinite: true, loaded: loaded(1, blocks - 1) });
  return progressFromState(checkpoint.state);
}
