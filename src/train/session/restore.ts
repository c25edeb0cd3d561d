import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import type { TensorLoadOptions } from '../../checkpoint/safetensors.ts';
import type { NewRows } from '../../model/new-rows.ts';
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
  newRows: NewRows | undefined,
  report: Report = noReport,
): Progress {
  if (model === undefined) trainer.initialize(report);
  else {
    trainer.initializeExcept(model.loaded);
    model.load(trainer.parameters(), newRows);
  }
  trainer.average?.restart();
  return freshProgress;
}

/** Restores parameters, moments and average from a checkpoint. An average that it does not have starts at its parameters. */
export function restore(trainer: Trainer, checkpoint: Checkpoint, report: Report = noReport): Progress {
  checkStoredOptions(checkpoint);
  // A run may have been stopped while it diverged: a resumed run rolls back as an uninterrupted one would.
  const { average } = trainer;
  const moments = trainer.programs.moments.length;
  const blocks = 1 + moments + Number(average !== undefined); // each the size of the parameters
  const options = (before: number, size: number): TensorLoadOptions => ({
    allowNonFinite: true,
    loaded: (done) => report('loading the checkpoint', (before + done * size) / blocks),
  });
  checkpoint.model.load(trainer.parameters(), options(0, 1));
  checkpoint.loadMoments(trainer.moments(), options(1, moments));
  if (average !== undefined && checkpoint.average !== undefined)
    checkpoint.average.load(average.parameters(), options(1 + moments, 1));
  else average?.restart();
  return progressFromState(checkpoint.state);
}
