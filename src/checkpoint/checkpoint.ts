/**
 * A checkpoint: a folder with everything training resumes from.
 *
 *     config.json, …, model.safetensors   a model folder or, when adapters are trained, an adapter folder
 *     optimizer.safetensors               the optimizer's moments
 *     average.safetensors                 the moving average of the parameters, if one is kept
 *     replicas.safetensors                with replicas, the outer optimizer's momentum and the moments of other ranks
 *     best.safetensors                    the best model at that step
 *     gpt_trainer_state.json              step, losses, seed, all options, checksums; see trainer-state.ts
 *
 * The state holds a checksum of every other file, so a file that is damaged, or left by another step or program, is
 * detected before anything is restored from it.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../errors.ts';
import { shownJson } from '../json.ts';
import type { ModelConfig } from '../model/config.ts';
import { elements } from '../model/parameters.ts';
import type { TensorSource, TensorTarget } from '../model/tensor.ts';
import { readWholeFile, refuseLink } from '../read-file.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import {
  linkAtomic,
  linkFile,
  streamFileFlushed,
  syncFolder,
  writeFileAtomic,
  writeFileFlushed,
  type Written,
} from '../write-file.ts';
import { checkBase, type AdapterOpening } from './adapter-folder.ts';
import {
  AVERAGE,
  BEST,
  checkpointName,
  LEGACY_STATE,
  OPTIMIZER,
  REPLICAS,
  STATE,
  stateFileOf,
  type CheckpointFolder,
} from './checkpoint-folders.ts';
import {
  IS_AVERAGE,
  modelFacts,
  savedTensors,
  weightsFile,
  writeModelDescription,
  writeWeights,
  type ModelFolder,
} from './model-folder.ts';
import { openModelFolder } from './open-model.ts';
import { CHECKPOINT_FILES } from './own-files.ts';
import { prunedError } from './resumable.ts';
import { openSafetensors, streamSafetensors, type TensorLoadOptions } from './safetensors.ts';
import { readTrainerState, sha256, trainerStateText, type TrainerState } from './trainer-state.ts';

/** A checkpoint opened for reading. */
export interface Checkpoint {
  readonly folder: string;
  /** Path of its state, for messages. */
  readonly stateFile: string;
  readonly state: TrainerState;
  /** Its model; `model.load` reads the parameters. */
  readonly model: ModelFolder;
  /** Loads the optimizer's moments, one tensor after the other. */
  loadMoments(into: readonly TensorTarget[], options?: TensorLoadOptions): void;
  /**
   * Loads the state of replicas besides that of rank 0.
   *
   * @param targets the tensors to load, from the names of all that are saved
   * @returns false if none is saved: the replicas are equal, and the outer optimizer has no momentum
   */
  loadReplicas(targets: (names: Iterable<string>) => readonly TensorTarget[]): boolean;
  /** The model whose parameters are the moving average; undefined if none was kept. */
  readonly average: ModelFolder | undefined;
}

/** The tensors that training changes. */
export interface TrainedTensors {
  readonly parameters: readonly TensorSource[];
  readonly moments: readonly TensorSource[];
  /** The moving average of the parameters, if one is kept. */
  readonly average?: readonly TensorSource[] | undefined;
  /** The state of the outer optimizer and of other replicas, if ranks train replicas. */
  readonly replicas?: readonly TensorSource[] | undefined;
}

/** Location of an adapter's base. */
export type BaseOpening = Pick<AdapterOpening, 'base'>;

/** Content of a new checkpoint. */
export interface CheckpointContent {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly trained: TrainedTensors;
  /** Path of the best model so far, if any. */
  readonly best: string | undefined;
  readonly state: Omit<TrainerState, 'format' | 'files'>;
}

/**
 * Writes a checkpoint into a new folder and flushes it to disk. The caller renames the folder.
 *
 * @param saved called with the fraction of the tensors written, 0 … 1
 */
export async function writeCheckpoint(
  into: string,
  content: CheckpointContent,
  saved?: (done: number) => void,
): Promise<void> {
  const { config, tokenizer, trained, best, state } = content;
  const parameters = savedTensors(config, trained.parameters);
  const average = savedTensors(config, trained.average ?? []);
  const { moments, replicas = [] } = trained;
  rmSync(into, { recursive: true, force: true });
  mkdirSync(into);
  const metadata = { step: String(state.step) };
  writeModelDescription(into, config, tokenizer, { write: writeFileFlushed });
  const facts = { ...metadata, ...modelFacts(config, tokenizer) };
  const total = bytesOf([...parameters, ...moments, ...average, ...replicas]);
  let before = 0;
  /** Reports the progress of the next file, not counting its header. */
  const progressOf = (tensors: readonly TensorSource[]): Written => {
    const [start, size] = [before, bytesOf(tensors)];
    before += size;
    return (bytes) => saved?.((start + Math.min(bytes, size)) / total);
  };
  const writing = (tensors: readonly TensorSource[]) => ({
    write: streamFileFlushed,
    written: progressOf(tensors),
  });
  await writeWeights(into, config, parameters, facts, writing(parameters));
  await streamFileFlushed(join(into, OPTIMIZER), streamSafetensors(moments, metadata), progressOf(moments));
  if (trained.average !== undefined) {
    const averageFacts = { ...facts, [IS_AVERAGE]: 'true' };
    await writeWeights(into, config, average, averageFacts, { ...writing(average), file: AVERAGE });
  }
  if (replicas.length > 0)
    await streamFileFlushed(
      join(into, REPLICAS),
      streamSafetensors(replicas, metadata),
      progressOf(replicas),
    );
  if (best !== undefined) linkFile(best, join(into, BEST));
  writeFileFlushed(join(into, STATE), [stateText(into, best, state)]);
  syncFolder(into);
}

/**
 * Adds the outcome of an evaluation to the checkpoint of its step: parameters and moments stay as they are. The state is
 * replaced before the copy of the best model: after a crash in between, resuming restores the copy from the best model.
 */
export function addEvaluation(
  folder: string,
  { best, state }: Pick<CheckpointContent, 'best' | 'state'>,
): void {
  writeFileAtomic(join(folder, STATE), [stateText(folder, best, state)]);
  if (best !== undefined) linkAtomic(best, join(folder, BEST));
}

/** Files whose fingerprints the state holds. Other files in the folder belong to the user or to another program. */
const FINGERPRINTED = CHECKPOINT_FILES.filter((file) => file !== STATE && file !== LEGACY_STATE);

/** The state with the fingerprints of the other files. @param best file that the checkpoint has, or gets, a copy of */
function stateText(
  folder: string,
  best: CheckpointContent['best'],
  state: CheckpointContent['state'],
): string {
  const paths = new Map(
    FINGERPRINTED.map((file) => [file, join(folder, file)] as const).filter(([, path]) => existsSync(path)),
  );
  if (best !== undefined) paths.set(BEST, best);
  const files = [...paths.keys()].toSorted();
  return trainerStateText({
    ...state,
    files: Object.fromEntries(files.map((file) => [file, fingerprint(paths.get(file)!)])),
  });
}

/**
 * Opens a checkpoint and verifies the fingerprints of its files. Tensor data is verified when it is loaded, and
 * best.safetensors, which is replaceable, when it is restored (restore-run.ts).
 *
 * @param base of an adapter, if it is not where adapter_config.json says
 * @throws UserError naming the file and how to repair it
 */
export function openCheckpoint({ step, folder }: CheckpointFolder, { base }: BaseOpening = {}): Checkpoint {
  for (const file of CHECKPOINT_FILES) refuseLink(join(folder, file));
  const stateFile = stateFileOf(folder) ?? join(folder, STATE);
  const state = readTrainerState(stateFile);
  if (state.pruned === true) throw prunedError(dirname(folder));
  if (state.step !== step)
    throw new UserError('mismatched-files', `${folder} is the checkpoint of step ${state.step}`, {
      hint: `it was renamed: change its name back to ${checkpointName(state.step)}`,
    });
  for (const [file, expected] of Object.entries(state.files ?? {}))
    // Earlier versions recorded the user's files as well.
    if (file !== BEST && FINGERPRINTED.includes(file)) checkFile(folder, file, expected);
  const model = openModelFolder(folder, { base });
  const weights = join(folder, weightsFile(model.config));
  checkStep(weights, model.metadata, step);
  // With another base the run would not be bit-identical, so even a base given by the user must match.
  if (model.base !== undefined) checkBase(weights, model.base, model.config.lora!);
  const average = existsSync(join(folder, AVERAGE))
    ? openModelFolder(folder, { base, file: AVERAGE })
    : undefined;
  if (average !== undefined) checkStep(join(folder, AVERAGE), average.metadata, step);
  return {
    folder,
    stateFile,
    state,
    model,
    loadMoments: (into, options) => loadTensors(join(folder, OPTIMIZER), step, () => into, options),
    loadReplicas(targets) {
      const path = join(folder, REPLICAS);
      if (!existsSync(path)) return false;
      loadTensors(path, step, targets, { allowNonFinite: true });
      return true;
    },
    average,
  };
}

/** Bytes that tensors take in a file, without the header. */
export const bytesOf = (tensors: readonly TensorSource[]): number =>
  tensors.reduce((sum, { shape }) => sum + 4 * elements(shape), 0);

function checkFile(folder: string, file: string, expected: string): void {
  const path = join(folder, basename(file));
  const isMissing = !existsSync(path);
  if (!isMissing && fingerprint(path) === expected) return;
  const copy = join(dirname(folder), basename(file));
  const hasCopy = file.endsWith('.json') && existsSync(copy) && fingerprint(copy) === expected;
  throw new UserError(
    isMissing ? 'file-not-found' : 'damaged-file',
    isMissing
      ? `${path} is missing`
      : `${path} is damaged: its checksum does not match ${join(folder, STATE)}`,
    { hint: hasCopy ? `copy ${copy} over it` : otherCheckpointHint(folder) },
  );
}

const otherCheckpointHint = (folder: string): string =>
  `if the run has another checkpoint, remove ${folder} to continue from that one`;

/** @throws UserError if the weights belong to another step */
function checkStep(path: string, metadata: Readonly<Record<string, string>>, step: number): void {
  if (metadata['step'] === String(step)) return;
  throw new UserError(
    'mismatched-files',
    `${path} belongs to step ${shownJson(metadata['step'])}, its checkpoint to step ${step}`,
    {
      hint: otherCheckpointHint(dirname(path)),
    },
  );
}

function loadTensors(
  path: string,
  step: number,
  targets: (names: Iterable<string>) => readonly TensorTarget[],
  options?: TensorLoadOptions,
): void {
  const file = openSafetensors(path);
  try {
    checkStep(path, file.metadata, step);
    const into = targets(file.tensors.keys());
    for (const { name, shape } of into) {
      const stored = file.tensors.get(name)?.shape;
      if (stored?.join() !== shape.join())
        throw new UserError(
          'mismatched-files',
          `${path}: "${name}" has the shape ${shownJson(stored)}, not ${shownJson(shape)}`,
        );
    }
    file.load(new Map(into.map((target) => [target.name, target])), options);
  } finally {
    file.close();
  }
}

/** In bytes; the largest JSON file, tokenizer.json, has tens of megabytes. */
const LARGEST_DESCRIPTION = 256e6;

/**
 * Identifies a file's content. For weights, the checksum in their header, which covers names, shapes and data and is
 * verified on loading; otherwise the SHA-256 of the file.
 */
function fingerprint(path: string): string {
  if (!path.endsWith('.safetensors')) return sha256(readWholeFile(path, LARGEST_DESCRIPTION));
  const weights = openSafetensors(path);
  weights.close();
  return weights.checksum ?? 'none';
}
