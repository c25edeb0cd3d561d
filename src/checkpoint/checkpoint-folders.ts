/**
 * Which folders of a run are its checkpoints. The name `checkpoint-<step>` is shared with Hugging Face's Trainer, so the
 * name alone proves nothing: a checkpoint of ours is a real folder that holds our training state.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** The training state in a checkpoint; see trainer-state.ts. */
export const STATE = 'gpt_trainer_state.json';
/** Its name before format 3, which is also the name of a file of Hugging Face's Trainer. */
export const LEGACY_STATE = 'trainer_state.json';
export const OPTIMIZER = 'optimizer.safetensors';

export interface CheckpointFolder {
  readonly step: number;
  readonly folder: string;
}

export const checkpointName = (step: number): string => `checkpoint-${step}`;

/** The complete checkpoints of a run, by step. */
export const checkpointsOf = (run: string): CheckpointFolder[] =>
  namedLikeCheckpoints(run).filter(({ isFolder, folder }) => isFolder && stateFileOf(folder) !== undefined);

/** The latest checkpoint of a run, if it has one. */
export const latestCheckpoint = (run: string): CheckpointFolder | undefined => checkpointsOf(run).at(-1);

/** The last checkpoint at or before a step, if there is one. */
export const checkpointUpTo = (run: string, step: number): CheckpointFolder | undefined =>
  checkpointsOf(run).findLast((found) => found.step <= step);

/** Entries named like a checkpoint that are not ours: folders of other programs, symbolic links, files. */
export const foreignCheckpoints = (run: string): (CheckpointFolder & { readonly isFolder: boolean })[] =>
  namedLikeCheckpoints(run).filter(({ isFolder, folder }) => !isFolder || stateFileOf(folder) === undefined);

/** The latest checkpoint of Hugging Face's Trainer in its output folder, if there is one. */
export const latestTrainerCheckpoint = (folder: string): CheckpointFolder | undefined =>
  foreignCheckpoints(folder).findLast((found) => found.isFolder && isTrainerCheckpoint(found.folder));

/**
 * Where the model of a folder is: in it, or, for the output folder of Hugging Face's Trainer before `save_model()`, in the
 * latest of its checkpoints.
 */
export const modelLocation = (folder: string): string =>
  existsSync(join(folder, 'config.json')) ? folder : (latestTrainerCheckpoint(folder)?.folder ?? folder);

/** Whether a folder is a checkpoint of Hugging Face's Trainer. */
export const isTrainerCheckpoint = (folder: string): boolean =>
  stateFileOf(folder) === undefined && existsSync(join(folder, LEGACY_STATE));

/**
 * The training state in a folder, if the folder is a checkpoint of ours. Hugging Face's Trainer writes optimizer.pt, so a
 * legacy state is told from its file by the optimizer's.
 */
export function stateFileOf(folder: string): string | undefined {
  const [state, legacy, optimizer] = [STATE, LEGACY_STATE, OPTIMIZER].map((name) => join(folder, name));
  if (existsSync(state)) return state;
  return existsSync(legacy) && existsSync(optimizer) ? legacy : undefined;
}

function namedLikeCheckpoints(run: string): (CheckpointFolder & { readonly isFolder: boolean })[] {
  return readdirSync(run, { withFileTypes: true })
    .filter(({ name }) => /^checkpoint-\d+$/.test(name))
    .map((entry) => ({
      step: Number(entry.name.slice('checkpoint-'.length)),
      folder: join(run, entry.name),
      isFolder: entry.isDirectory(),
    }))
    .toSorted((a, b) => a.step - b.step);
}
