/**
 * Where runs live: one folder each under checkpoints/. The folder itself is the best model so far, as a Hugging Face model
 * folder; `checkpoint-<step>/` inside it is the latest state of the training, from which it can go on:
 *
 *     config.json, …, model.safetensors   a model folder as well
 *     optimizer.safetensors               the optimiser's moments
 *     trainer_state.json                  step, losses, seed, every option, the corpus' hash; see trainer-state.ts
 *
 * and its logs (logs.ts) have one line for each step and evaluation. A checkpoint folder is written under a temporary
 * name, flushed, and renamed; then the one before it is removed. So there is always a complete one.
 */
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, extname, join } from 'node:path';
import { UserError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { NamedTensor } from '../model/placement.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { sweepTemporaries, writeFileAtomic } from './atomic.ts';
import { keepLog, logNames, logPath, type LogEntry, type LogName } from './logs.ts';
import {
  openModelFolder,
  WEIGHTS,
  writeJson,
  writeModelDescription,
  writeWeights,
  type ModelFolder,
} from './model-folder.ts';
import { openSafetensors, safetensorsPieces } from './safetensors.ts';
import { readTrainerState, STATE_FORMAT, type TrainerState } from './trainer-state.ts';

export const RUNS = 'checkpoints';
/** A run that is being written. */
export interface Run {
  readonly folder: string;
  /** Replaces the best model. */
  saveBest(tensors: readonly NamedTensor[], metadata: Readonly<Record<string, string>>): void;
  /** Replaces the latest checkpoint. */
  saveCheckpoint(
    parameters: readonly NamedTensor[],
    moments: readonly NamedTensor[],
    state: Omit<TrainerState, 'format'>,
  ): void;
  /** Appends a line to one of the run's logs. */
  log(name: LogName, entry: LogEntry): void;
}

/** Starts a run in a folder that holds none yet. @throws UserError if it does, unless `overwrite` */
export function createRun(
  folder: string,
  config: ModelConfig,
  tokenizer: Tokenizer,
  { overwrite = false } = {},
): Run {
  if (existsSync(folder)) {
    if (!statSync(folder).isDirectory()) throw new UserError(`${folder} is a file; a run needs a folder`);
    const files = readdirSync(folder);
    if (files.length > 0 && !overwrite)
      throw new UserError(`${folder} exists and is not empty`, {
        hint: 'name another --out-dir, continue it with --resume, or replace it with --overwrite',
      });
    for (const file of files) if (isRunFile(file)) rmSync(join(folder, file), { recursive: true });
  }
  writeModelDescription(folder, config, tokenizer);
  sweepTemporaries(folder);
  return runIn(folder, config, tokenizer);
}

/** A checkpoint from which a training can go on. */
export interface Checkpoint {
  readonly state: TrainerState;
  /** Its model; `model.load` reads the parameters. */
  readonly model: ModelFolder;
  /** Reads the optimiser's moments into memory laid out for them. */
  loadMoments(into: readonly NamedTensor[]): void;
  /** Goes on writing the run: metrics of later steps, which a killed process may have left, are dropped. */
  continue(): Run;
}

/** Opens the latest checkpoint of a run. @throws UserError if there is none or it is damaged */
export function openCheckpoint(folder: string): Checkpoint {
  if (!existsSync(folder)) throw new UserError(`there is no run ${folder}`);
  const steps = checkpointsOf(folder).map((name) => Number(name.slice(checkpointName('').length)));
  if (steps.length === 0)
    throw new UserError(`${folder} has no checkpoint to go on from`, {
      hint: 'start it again with --overwrite',
    });
  const path = join(folder, checkpointName(Math.max(...steps)));
  const model = openModelFolder(path);
  const state = readTrainerState(join(path, 'trainer_state.json'));
  return {
    state,
    model,
    loadMoments: (into) => loadMoments(join(path, 'optimizer.safetensors'), into),
    continue() {
      sweepTemporaries(folder);
      for (const name of logNames) keepLog(logPath(folder, name), state.step);
      return runIn(folder, model.config, model.tokenizer);
    },
  };
}

function loadMoments(path: string, into: readonly NamedTensor[]): void {
  const file = openSafetensors(path);
  try {
    file.verify();
    for (const { name, shape, data } of into) {
      const stored = file.tensors.get(name)?.shape.join();
      if (stored !== shape.join())
        throw new UserError(
          `${path}: "${name}" has the shape [${stored ?? 'missing'}], not [${shape.join()}]`,
        );
      data.set(file.read(name));
    }
  } finally {
    file.close();
  }
}

/** The writing side of a run whose folder is there. */
function runIn(folder: string, config: ModelConfig, tokenizer: Tokenizer): Run {
  return {
    folder,
    saveBest: (tensors, metadata) => writeWeights(folder, tensors, metadata),
    saveCheckpoint(parameters, moments, state) {
      const name = checkpointName(state.step);
      if (existsSync(join(folder, name))) return; // an evaluation and the end can fall on one step
      const temporary = join(folder, `${name}.tmp`);
      rmSync(temporary, { recursive: true, force: true });
      mkdirSync(temporary);
      const metadata = { step: String(state.step) };
      writeModelDescription(temporary, config, tokenizer);
      writeWeights(temporary, parameters, metadata);
      writeFileAtomic(join(temporary, 'optimizer.safetensors'), safetensorsPieces(moments, metadata));
      writeJson(join(temporary, 'trainer_state.json'), { format: STATE_FORMAT, ...state });
      renameSync(temporary, join(folder, name));
      flushFolder(folder);
      for (const other of checkpointsOf(folder))
        if (other !== name) rmSync(join(folder, other), { recursive: true });
    },
    log: (name, entry) => appendFileSync(logPath(folder, name), `${JSON.stringify(entry)}\n`),
  };
}

const checkpointName = (step: number | ''): string => `checkpoint-${step}`;
const checkpointsOf = (folder: string): string[] =>
  readdirSync(folder).filter((file) => /^checkpoint-\d+$/.test(file));
const isRunFile = (file: string): boolean =>
  /^(checkpoint-\d+(\.tmp)?|(metrics|samples|speed)\.jsonl|model\.safetensors|.*\.tmp)$/.test(file);

function flushFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const fd = openSync(folder, 'r');
  fsyncSync(fd);
  closeSync(fd);
}

/** A folder for a new run under checkpoints/: the corpus' name and the first number not taken, `moby-dick-1`. */
export function newRunFolder(corpus: string): string {
  const stem = corpus === '-' ? 'stdin' : basename(corpus, extname(corpus));
  const name = stem.replace(/[^\p{L}\p{N}._-]+/gu, '-').replace(/^[-.]+/, '') || 'run';
  for (let n = 1; ; n++) {
    const folder = join(RUNS, `${name}-${n}`);
    if (!existsSync(folder)) return folder;
  }
}

/** The run under checkpoints/ whose model was written last. @throws UserError if there is none */
export function newestRun(): string {
  const folders = existsSync(RUNS) ? readdirSync(RUNS).map((name) => join(RUNS, name)) : [];
  const times = folders
    .filter((folder) => existsSync(join(folder, WEIGHTS)))
    .map((folder) => ({ folder, time: statSync(join(folder, WEIGHTS)).mtimeMs }))
    .sort((a, b) => b.time - a.time);
  if (times.length === 0)
    throw new UserError(`there is no trained model under ${RUNS}/`, {
      hint: 'train one with `gpt train corpus.txt`, or name a model folder with --model',
    });
  return times[0].folder;
}
