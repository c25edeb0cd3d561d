/**
 * Prunes runs: deletes the checkpoints, which only --resume needs, and keeps the best model, the logs, and the state of the
 * last checkpoint, which records the options, the text and its split.
 *
 * The state is marked before anything is deleted, so that a process killed in between leaves a run that is pruned; pruning
 * it again deletes the rest.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { UserError } from '../errors.ts';
import { trainCall } from '../messages.ts';
import { syncFolder, writeFileAtomic } from '../write-file.ts';
import { readTextFile } from '../read-file.ts';
import { checkpointsOf, isAdapterFolder, LEGACY_STATE, STATE, stateFileOf } from './checkpoint-folders.ts';
import { checkRunFolder } from './delete-run.ts';
import { diskUse } from './disk-use.ts';
import { lockFolder, refuseHeld } from './lock.ts';
import { openWholeModel } from './model-folder.ts';
import { completionOf } from './log-writer.ts';
import { logPath } from './logs.ts';
import {
  CHECKPOINT_FILES,
  DESCRIPTION,
  isTemporaryInCheckpoint,
  sweepTemporaries,
  temporariesOf,
} from './own-files.ts';
import { retire } from './run.ts';
import { weightsOf } from './runs.ts';
import { openSafetensors } from './safetensors.ts';
import { readTrainerState, trainerStateText } from './trainer-state.ts';

/** Files of a checkpoint that are deleted: all but its state. */
const DELETED = CHECKPOINT_FILES.filter((file) => file !== STATE && file !== LEGACY_STATE);

/** In bytes. */
const LARGEST_DESCRIPTION = 1e9;

/** A run that can be pruned. */
export interface Pruning {
  readonly folder: string;
  /** Step of its last checkpoint. */
  readonly step: number;
  /** No steps are left for which it could be resumed. */
  readonly isComplete: boolean;
  /** Bytes that this frees. */
  readonly freed: number;
}

/**
 * @returns undefined if the run has been pruned already
 * @throws UserError unless the folder is a run that is not being trained, with a checkpoint and an intact model outside it
 */
export function planPruning(folder: string): Pruning | undefined {
  checkRunFolder(folder);
  refuseHeld(folder);
  const checkpoints = checkpointsOf(folder);
  const latest = checkpoints.at(-1);
  if (latest === undefined)
    throw new UserError('no-checkpoint', `${folder} has no checkpoint to prune`, {
      hint: 'there is nothing that could be deleted without deleting the model',
    });
  readTrainerState(stateFileOf(latest.folder)!); // the state is kept, so it must be intact
  checkModel(folder, latest.folder);
  const paths = [
    ...checkpoints.slice(0, -1).map((each) => each.folder),
    ...prunedFiles(latest.folder),
    ...temporariesOf(folder), // of a process that was killed while it pruned
  ];
  const { freed } = diskUse(paths);
  if (paths.length === 0) return undefined;
  const isComplete = completionOf(logPath(folder, 'metrics')) !== undefined;
  return { folder, step: latest.step, isComplete, freed };
}

/** The files of a checkpoint to delete, including leftovers of a pruning that was killed. */
function prunedFiles(checkpoint: string): string[] {
  const isLegacy = basename(stateFileOf(checkpoint)!) === LEGACY_STATE;
  const deleted = [...DELETED, ...(isLegacy ? [LEGACY_STATE] : [])];
  const files = readdirSync(checkpoint);
  return [
    ...deleted.filter((file) => files.includes(file)),
    ...files.filter((file) => isTemporaryInCheckpoint(file)),
  ].map((file) => join(checkpoint, file));
}

/** @throws UserError unless the model outside the checkpoints is intact, as it will be the only one */
function checkModel(folder: string, checkpoint: string): void {
  const path = weightsOf(folder);
  try {
    // The copies outside the checkpoints must be intact before the last others are deleted.
    for (const file of DESCRIPTION)
      if (existsSync(join(checkpoint, file)))
        JSON.parse(readTextFile(join(folder, file), LARGEST_DESCRIPTION));
    if (!isAdapterFolder(folder)) openWholeModel(folder);
    const weights = openSafetensors(path);
    try {
      weights.load(new Map());
    } finally {
      weights.close();
    }
  } catch (error) {
    throw new UserError(
      'no-checkpoint',
      `${folder} cannot be pruned: it has no intact model but its checkpoint`,
      {
        hint: `resume it first, which saves or restores one: ${trainCall([], { resume: folder })}`,
        cause: error,
      },
    );
  }
}

/** @throws UserError, or a system error, if the run cannot be pruned */
export function pruneRun(folder: string): void {
  const lock = lockFolder(folder);
  try {
    const latest = checkpointsOf(folder).at(-1);
    if (latest === undefined) return;
    checkModel(folder, latest.folder);
    // The format is that of this version, and a legacy state has no files.
    const { format: _format, ...state } = readTrainerState(stateFileOf(latest.folder)!);
    const files = prunedFiles(latest.folder);
    if (state.pruned !== true)
      writeFileAtomic(join(latest.folder, STATE), [
        trainerStateText({ ...state, files: state.files ?? {}, pruned: true }),
      ]);
    for (const file of files) rmSync(file, { force: true });
    syncFolder(latest.folder);
    retire(folder, (step) => step !== latest.step);
    sweepTemporaries(folder);
  } finally {
    lock.release();
  }
}
