/** Checks whether a path is a run that can be resumed, with a hint if it is something else. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError, type ErrorCode } from '../errors.ts';
import { optionName, trainCall } from '../messages.ts';
import { refuseLink } from '../read-file.ts';
import {
  foreignCheckpoints,
  isTrainerCheckpoint,
  latestCheckpoint,
  latestTrainerCheckpoint,
  stateFileOf,
} from './checkpoint-folders.ts';
import { foreignModel, hubHint, whyNoModel } from './foreign-models.ts';
import { LOCK, refuseHeld } from './lock.ts';
import { isRun, RUN_FILES } from './own-files.ts';
import { hintForMissingRun } from './runs.ts';

const NAME_A_RUN = 'give the folder of a run, which contains checkpoint-…';

/** @throws UserError unless the folder is a run with a checkpoint and nothing in the way */
export function checkResumable(folder: string): void {
  if (!existsSync(folder)) {
    const download = hubHint(folder);
    const hint =
      download === undefined
        ? hintForMissingRun(folder)
        : `${download}; then train it in a new run with ${optionName('initFrom')}`;
    throw new UserError('file-not-found', `there is no run ${folder}`, { hint });
  }
  if (!statSync(folder).isDirectory())
    throw (
      foreignModel(folder) ??
      new UserError('wrong-file-kind', `${folder} is a file, not a run`, { hint: NAME_A_RUN })
    );
  for (const { folder: link } of foreignCheckpoints(folder)) refuseLink(link);
  if (latestCheckpoint(folder) === undefined) {
    refuseHeld(folder); // in its first steps
    throw withoutCheckpoint(folder);
  }
  for (const file of [...RUN_FILES, LOCK]) refuseLink(join(folder, file));
  const [foreign] = foreignCheckpoints(folder);
  if (foreign !== undefined)
    throw new UserError(
      'output-exists',
      `${foreign.folder} is ${isTrainerCheckpoint(foreign.folder) ? "a checkpoint of Hugging Face's Trainer" : 'not a complete checkpoint'}`,
      { hint: 'move it out of the run, which needs that name' },
    );
}

/** The error for a folder without a checkpoint. */
export function withoutCheckpoint(folder: string): UserError {
  const refused = (code: ErrorCode, message: string, hint: string): UserError =>
    new UserError(code, `${folder} ${message}`, { hint });
  const asNewRun = `to continue its model in a new run: ${trainCall(['corpus.txt'], { initFrom: folder })}`;
  if (stateFileOf(folder) !== undefined)
    return refused(
      'wrong-file-kind',
      'is a checkpoint, not a run',
      'give the run, the folder that contains it',
    );
  if (isTrainerCheckpoint(folder) || latestTrainerCheckpoint(folder) !== undefined)
    return refused(
      'unsupported-format',
      "was written by Hugging Face's Trainer, whose runs cannot be resumed here",
      asNewRun,
    );
  const foreign = foreignModel(folder);
  if (foreign !== undefined) return foreign;
  if (whyNoModel(folder) === undefined)
    return refused('no-checkpoint', 'is a model without a checkpoint to resume from', asNewRun);
  if (isRun(folder))
    return refused(
      'no-checkpoint',
      'ended before its first checkpoint',
      `start it again, with ${optionName('overwrite')}`,
    );
  return refused('no-checkpoint', 'has no checkpoint to resume from', NAME_A_RUN);
}

/** The error for a run that was to be resumed. */
export const prunedError = (run: string): UserError =>
  new UserError(
    'no-checkpoint',
    `${run} was pruned: its optimizer state was deleted, so it cannot be resumed`,
    {
      hint: `to continue its model in a new run: ${trainCall(['corpus.txt'], { initFrom: run })}`,
    },
  );
