/** Lists runs and models with their facts, without loading them. */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { isSystemError, UserError } from '../errors.ts';
import { parseJsonObject } from '../json.ts';
import { readTextFile } from '../read-file.ts';
import { ADAPTER_CONFIG, readAdapterConfig } from '../checkpoint/adapter-config.ts';
import {
  isAdapterFolder,
  isWholeModel,
  latestCheckpoint,
  stateFileOf,
} from '../checkpoint/checkpoint-folders.ts';
import { diskUse } from '../checkpoint/disk-use.ts';
import { whyNoModel } from '../checkpoint/foreign-models.ts';
import { holderOf, LOCK } from '../checkpoint/lock.ts';
import { completionOf } from '../checkpoint/log-writer.ts';
import { logPath } from '../checkpoint/logs.ts';
import { isRun } from '../checkpoint/own-files.ts';
import { foldersIn, weightsOf } from '../checkpoint/runs.ts';
import { openSafetensors } from '../checkpoint/safetensors.ts';
import { readTrainerState, type TrainerState } from '../checkpoint/trainer-state.ts';
import { validationLossOf, type ValidationLoss } from './run-record.ts';

/** State of a run's training; 'model' for a model that was not trained here. */
export type RunStatus =
  'training' | 'finished' | 'stopped early' | 'unfinished' | 'no model yet' | 'model' | 'damaged';

export interface ListedRun {
  readonly name: string;
  readonly folder: string;
  readonly status: RunStatus;
  /** Why it is damaged: a UserError or a system error. */
  readonly damage: Error | undefined;
  /** Its checkpoints have been deleted. */
  readonly isPruned: boolean;
  /** Size of its files; undefined if they cannot be read. */
  readonly bytes: number | undefined;
  /** When its model or checkpoint was written last, in milliseconds since 1970. */
  readonly modified: number;
  /** Steps up to its last checkpoint. */
  readonly steps: number | undefined;
  readonly loss: ValidationLoss | undefined;
  /** Paths of its text; empty if unknown. */
  readonly corpus: readonly string[];
  /** The model that it was fine-tuned from. */
  readonly initFrom: string | undefined;
  /** The base model below its adapter. */
  readonly base: string | undefined;
}

/** The runs and models in a folder, newest first; the folder itself if it is one. */
export function listRuns(folder: string): ListedRun[] {
  const folders = isListed(folder) ? [folder] : foldersIn(folder).filter(isListed);
  return folders.map(listRun).toSorted((a, b) => b.modified - a.modified);
}

const MODEL_FILES = ['config.json', ADAPTER_CONFIG, 'model.safetensors', 'metrics.jsonl', LOCK];

/** True for a model, a run, even a damaged one, or an empty folder that a run is about to fill. */
function isListed(folder: string): boolean {
  try {
    return MODEL_FILES.some((file) => existsSync(join(folder, file))) || isRun(folder);
  } catch (error) {
    if (isSystemError(error)) return true; // shown as unreadable
    throw error;
  }
}

function listRun(folder: string): ListedRun {
  const common = { name: basename(resolve(folder)), folder };
  const unknown = {
    damage: undefined,
    isPruned: false,
    bytes: undefined,
    modified: 0,
    steps: undefined,
    loss: undefined,
    corpus: [],
    initFrom: undefined,
    base: undefined,
  };
  let known: Partial<ListedRun> = {};
  try {
    known = { bytes: diskUse([realpathSync(folder)]).bytes, modified: modifiedAt(folder) };
    return { ...unknown, ...common, ...known, ...described(folder) };
  } catch (error) {
    if (!(error instanceof UserError) && !isSystemError(error)) throw error;
    return { ...unknown, ...common, ...known, status: 'damaged', damage: error };
  }
}

/** @throws UserError or a system error if a file of the run is damaged or unreadable */
function described(folder: string): Partial<ListedRun> & Pick<ListedRun, 'status'> {
  const checkpoint = latestCheckpoint(folder);
  const stateFile = checkpoint && stateFileOf(checkpoint.folder);
  const state = stateFile === undefined ? undefined : readTrainerState(stateFile);
  const weights = weightsOf(folder);
  const metadata = existsSync(weights) ? metadataOf(weights) : undefined;
  checkDescription(folder);
  return {
    status: statusOf(folder, state, metadata !== undefined || isWholeModel(folder)),
    isPruned: state?.pruned === true,
    steps: state?.step ?? stepOf(metadata),
    loss: metadata === undefined ? undefined : validationLossOf(folder, metadata, state),
    corpus: textsOf(state?.options['corpus']),
    initFrom: textOf(state?.options['initFrom']),
    base: isAdapterFolder(folder) ? readAdapterConfig(join(folder, ADAPTER_CONFIG)).basePath : undefined,
  };
}

function statusOf(folder: string, state: TrainerState | undefined, hasModel: boolean): RunStatus {
  if (holderOf(folder) !== undefined) return 'training';
  const completion = completionOf(logPath(folder, 'metrics'));
  if (completion !== undefined) return completion;
  if (state !== undefined) return 'unfinished';
  if (!hasModel) return 'no model yet';
  return 'model';
}

function metadataOf(path: string): Readonly<Record<string, string>> {
  const weights = openSafetensors(path);
  weights.close();
  return weights.metadata;
}

/** In bytes. */
const LARGEST_CONFIG = 256e6;

/** @throws UserError if a model lacks its description, or that is not JSON */
function checkDescription(folder: string): void {
  if (isAdapterFolder(folder)) return;
  const path = join(folder, 'config.json');
  if (!existsSync(path)) throw whyNoModel(folder) ?? new UserError('file-not-found', `${path} is missing`);
  parseJsonObject(readTextFile(path, LARGEST_CONFIG), (what) => {
    throw new UserError('damaged-file', `${path} ${what}`);
  });
}

/** When the model or the last checkpoint was written; for a run without either, when its folder was changed. */
function modifiedAt(folder: string): number {
  const checkpoint = latestCheckpoint(folder);
  const stateFile = checkpoint && stateFileOf(checkpoint.folder);
  const times = [weightsOf(folder), ...(stateFile === undefined ? [] : [stateFile])].flatMap(
    (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? [],
  );
  return times.length > 0 ? Math.max(...times) : statSync(folder).mtimeMs;
}

/** Values from untrusted files. */
const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
const textsOf = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];

function stepOf(metadata: Readonly<Record<string, string>> | undefined): number | undefined {
  const step = metadata?.['step'];
  return step !== undefined && /^\d+$/.test(step) ? Number(step) : undefined;
}
