/**
 * Where runs live: one folder each under checkpoints/. The folder itself is the best model so far, as a Hugging Face model
 * folder; `checkpoint-<step>/` inside it is the latest state of the training, from which it can go on:
 *
 *     config.json, …, model.safetensors   a model folder as well
 *     optimizer.safetensors               the optimiser's moments
 *     trainer_state.json                  step, losses, seed, every option, the corpus' hash; see TrainerState
 *
 * and metrics.jsonl has one line for each logged step and evaluation. A checkpoint folder is written under a temporary
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
import { WEIGHTS, writeJson, writeModelDescription, writeWeights } from './model-folder.ts';
import { safetensorsPieces } from './safetensors.ts';

export const RUNS = 'checkpoints';
const FORMAT = 1;

/** What trainer_state.json says. */
export interface TrainerState {
  /** Of this file's layout. */
  readonly format: number;
  /** Steps done. */
  readonly step: number;
  readonly best_step: number;
  /** Nats per token; null before the first evaluation. */
  readonly best_loss: number | null;
  /** Evaluations since the best one. */
  readonly evaluations_without_improvement: number;
  readonly tokens_seen: number;
  readonly seed: number;
  readonly corpus_sha256: string;
  /** All options of the run under their flags' names. */
  readonly options: Readonly<Record<string, unknown>>;
}

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
  /** Appends a line to metrics.jsonl. */
  log(entry: Readonly<Record<string, unknown>>): void;
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
        hint: 'name another --out-dir, or use --overwrite to replace the run in it',
      });
    for (const file of files) if (isRunFile(file)) rmSync(join(folder, file), { recursive: true });
  }
  writeModelDescription(folder, config, tokenizer);
  sweepTemporaries(folder);
  return {
    folder,
    saveBest: (tensors, metadata) => writeWeights(folder, tensors, metadata),
    saveCheckpoint(parameters, moments, state) {
      const name = checkpointName(state.step);
      if (existsSync(join(folder, name))) return; // an evaluation and the end can fall on one step
      const temporary = join(folder, `${name}.tmp`);
      rmSync(temporary, { recursive: true, force: true });
      mkdirSync(temporary);
      writeModelDescription(temporary, config, tokenizer);
      writeWeights(temporary, parameters, { step: String(state.step) });
      writeFileAtomic(
        join(temporary, 'optimizer.safetensors'),
        safetensorsPieces(moments, { step: String(state.step) }),
      );
      writeJson(join(temporary, 'trainer_state.json'), { format: FORMAT, ...state });
      renameSync(temporary, join(folder, name));
      flushFolder(folder);
      for (const other of checkpointsOf(folder))
        if (other !== name) rmSync(join(folder, other), { recursive: true });
    },
    log: (entry) => appendFileSync(join(folder, 'metrics.jsonl'), `${JSON.stringify(entry)}\n`),
  };
}

const checkpointName = (step: number): string => `checkpoint-${step}`;
const checkpointsOf = (folder: string): string[] =>
  readdirSync(folder).filter((file) => /^checkpoint-\d+$/.test(file));
const isRunFile = (file: string): boolean =>
  /^(checkpoint-\d+(\.tmp)?|metrics\.jsonl|model\.safetensors|.*\.tmp)$/.test(file);

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
