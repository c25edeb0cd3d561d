/**
 * Finds the checkpoints of a run. Hugging Face's Trainer uses the name `checkpoint-<step>` too, so only a real folder with
 * our training state counts.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ADAPTER_CONFIG } from './adapter-config.ts';
import { INDEX, WEIGHTS } from './weights.ts';

/** The training state of a checkpoint; see trainer-state.ts. */
export const STATE = 'gpt_trainer_state.json';
/** Its name before format 3. Hugging Face's Trainer writes a file of the same name. */
export const LEGACY_STATE = 'trainer_state.json';
export const OPTIMIZER = 'optimizer.safetensors';
/** The best model at that step. */
export const BEST = 'best.safetensors';
/** The moving average of the parameters. */
export const AVERAGE = 'average.safetensors';
/** With `syncEvery`, the state of the outer optimizer and of the replicas of other ranks. */
export const REPLICAS = 'replicas.safetensors';

export interface CheckpointFolder {
  readonly step: number;
  readonly folder: string;
}

export const checkpointName = (step: number): string => `checkpoint-${step}`;

/** Complete checkpoints of a run, by step. */
export const checkpointsOf = (run: string): CheckpointFolder[] =>
  namedLikeCheckpoints(run).filter(({ isFolder, folder }) => isFolder && stateFileOf(folder) !== undefined);

export const latestCheckpoint = (run: string): CheckpointFolder | undefined => checkpointsOf(run).at(-1);

/** The last checkpoint at or before a step. */
export const checkpointUpTo = (run: string, step: number): CheckpointFolder | undefined =>
  checkpointsOf(run).findLast((found) => found.step <= step);

/** Entries named like a checkpoint that are not ours: folders of other programs, symbolic links, files. */
export const foreignCheckpoints = (run: string): (CheckpointFolder & { readonly isFolder: boolean })[] =>
  namedLikeCheckpoints(run).filter(({ isFolder, folder }) => !isFolder || stateFileOf(folder) === undefined);

/** The latest checkpoint of Hugging Face's Trainer in its output folder. */
export const latestTrainerCheckpoint = (folder: string): CheckpointFolder | undefined =>
  foreignCheckpoints(folder).findLast((found) => found.isFolder && isTrainerCheckpoint(found.folder));

/**
 * The folder that holds the model: `folder` itself or, for an output folder of Hugging Face's Trainer before
 * `save_model()`, its latest checkpoint.
 */
export const modelLocation = (folder: string): string =>
  ['config.json', ADAPTER_CONFIG].some((file) => existsSync(join(folder, file)))
    ? folder
    : (latestTrainerCheckpoint(folder)?.folder ?? folder);

/** True for a folder with a model's config and weights, even if it has an adapter's files as well. */
export const isWholeModel = (folder: string): boolean =>
  existsSync(join(folder, 'config.json')) && [WEIGHTS, INDEX].some((file) => existsSync(join(folder, file)));

export const isAdapterFolder = (folder: string): boolean =>
  existsSync(join(folder, ADAPTER_CONFIG)) && !isWholeModel(folder);

export const isTrainerCheckpoint = (folder: string): boolean =>
  stateFileOf(folder) === undefined && existsSync(join(folder, LEGACY_STATE));

/**
 * The training state of a checkpoint of ours. A legacy state is distinguished from the file of Hugging Face's Trainer by
 * the optimizer next to it, which the Trainer stores as optimizer.pt.
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
