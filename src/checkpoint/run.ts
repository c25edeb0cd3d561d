/**
 * The folder of a run. It is itself the best model so far, as a Hugging Face model folder. In it, `checkpoint-<step>/` is
 * a state of the training from which it can go on:
 *
 *     config.json, …, model.safetensors   a model folder as well
 *     optimizer.safetensors               the optimiser's moments
 *     best.safetensors                    the best model at that time
 *     trainer_state.json                  step, losses, seed, every option, the corpus' hash; see trainer-state.ts
 *
 * Its logs have one line for each step and evaluation (logs.ts, log-writer.ts), and run.lock keeps other processes from
 * writing there (lock.ts). A checkpoint is written under a temporary name, flushed, and renamed when it is complete; then
 * older ones are renamed away and removed. So whatever happens, there is a complete one, and what is there is complete.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { shownJson } from '../json.ts';
import type { ModelConfig } from '../model/config.ts';
import type { NamedTensor } from '../model/placement.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import {
  linkAtomic,
  linkFile,
  makeFolder,
  sweepTemporaries,
  syncFolder,
  writeFileFlushed,
} from './atomic.ts';
import { LOCK, lockFolder, type FolderLock } from './lock.ts';
import { endOf, LogWriter, resumeLog } from './log-writer.ts';
import { keepLog, logPath, type LogEntry, type LogName } from './logs.ts';
import {
  modelFacts,
  openModelFolder,
  WEIGHTS,
  writeJson,
  writeModelDescription,
  writeWeights,
  type ModelFolder,
} from './model-folder.ts';
import { openSafetensors, safetensorsPieces, type LoadOptions } from './safetensors.ts';
import { readTrainerState, STATE, STATE_FORMAT, type TrainerState } from './trainer-state.ts';

const OPTIMIZER = 'optimizer.safetensors';
const BEST = 'best.safetensors';

/** A run that is being written, by this process alone. */
export interface Run {
  readonly folder: string;
  /** The step of the latest checkpoint; undefined if there is none. */
  readonly savedStep: number | undefined;
  /** Replaces the best model. */
  saveBest(tensors: readonly NamedTensor[], metadata: Readonly<Record<string, string>>): void;
  /**
   * Writes a checkpoint, unless the latest is of this step already; then removes those that are not needed any more: all
   * but this one and the one of `good_step`.
   *
   * @throws the system's error if it cannot be written: the checkpoints before it are untouched then
   */
  saveCheckpoint(
    parameters: readonly NamedTensor[],
    moments: readonly NamedTensor[],
    state: Omit<TrainerState, 'format' | 'log_bytes'>,
  ): void;
  /** Appends a line to one of the run's logs. What cannot be written now is written with the next checkpoint. */
  log(name: LogName, entry: LogEntry): void;
  /** Brings all lines of the logs to the disk. @throws the system's error if that is impossible */
  flushLog(): void;
  /**
   * Goes back to the last checkpoint up to a step: those after it are removed.
   *
   * @returns undefined if there is none
   */
  rollBack(step: number): Checkpoint | undefined;
  /** Lets other processes write in the folder again. */
  close(): void;
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
    if (readdirSync(folder).some((file) => file !== LOCK) && !overwrite)
      throw new UserError(`${folder} exists and is not empty`, {
        hint: 'name another --out-dir, continue it with --resume, or replace it with --overwrite',
      });
  }
  makeFolder(folder);
  const lock = lockFolder(folder);
  try {
    for (const file of readdirSync(folder))
      if (isRunFile(file)) rmSync(join(folder, file), { recursive: true });
    writeModelDescription(folder, config, tokenizer);
  } catch (error) {
    lock.release();
    throw error;
  }
  const writer = (name: LogName): LogWriter => new LogWriter(logPath(folder, name));
  const logs = { metrics: writer('metrics'), samples: writer('samples'), speed: writer('speed') };
  return runIn(folder, config, tokenizer, { lock, logs, savedStep: undefined });
}

/** A state of the training, read from disk. */
export interface Checkpoint {
  readonly folder: string;
  readonly state: TrainerState;
  /** Its model; `model.load` reads the parameters. */
  readonly model: ModelFolder;
  /** Reads the optimiser's moments into memory laid out for them. */
  loadMoments(into: readonly NamedTensor[], options?: LoadOptions): void;
}

/** A run that goes on: its latest checkpoint, and the folder, which is this process' own from now on. */
export interface ResumedRun {
  readonly checkpoint: Checkpoint;
  /** How the run ended, if it had come to its end. */
  readonly ended: string | undefined;
  /** Puts the folder back to where the checkpoint was taken, best model and metrics included, and goes on from there. */
  continue(): Run;
  /** Lets go of the folder. */
  close(): void;
}

/** Opens a run to go on with it. @throws UserError if it has no checkpoint, is damaged, or is being written */
export function resumeRun(folder: string): ResumedRun {
  const latest = existsSync(folder) ? latestCheckpoint(folder) : undefined;
  if (!existsSync(folder)) throw new UserError(`there is no run ${folder}`);
  if (latest === undefined)
    throw new UserError(`${folder} has no checkpoint to go on from`, {
      hint: 'start it again with --overwrite',
    });
  const lock = lockFolder(folder);
  try {
    const checkpoint = openCheckpoint((latestCheckpoint(folder) ?? latest).folder);
    const { state, model } = checkpoint;
    return {
      checkpoint,
      ended: endOf(logPath(folder, 'metrics'), state.log_bytes.metrics),
      continue() {
        sweepTemporaries(folder);
        retireBefore(folder, state); // the process that wrote this checkpoint may have been killed before it could
        const best = join(checkpoint.folder, BEST);
        if (existsSync(best)) linkAtomic(best, join(folder, WEIGHTS));
        keepLog(logPath(folder, 'speed'), state.step); // of another length each time: no part of a checkpoint
        const logs = {
          metrics: resumeLog(logPath(folder, 'metrics'), state.log_bytes.metrics),
          samples: resumeLog(logPath(folder, 'samples'), state.log_bytes.samples),
          speed: resumeLog(logPath(folder, 'speed'), Infinity),
        };
        return runIn(folder, model.config, model.tokenizer, { lock, logs, savedStep: state.step });
      },
      close: () => lock.release(),
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** @throws UserError if it is damaged */
function openCheckpoint(folder: string): Checkpoint {
  const state = readTrainerState(join(folder, STATE));
  const model = openModelFolder(folder);
  return {
    folder,
    state,
    model,
    loadMoments: (into, options) => loadMoments(join(folder, OPTIMIZER), into, options),
  };
}

function loadMoments(path: string, into: readonly NamedTensor[], options?: LoadOptions): void {
  const file = openSafetensors(path);
  try {
    for (const { name, shape } of into) {
      const stored = file.tensors.get(name)?.shape;
      if (stored?.join() !== shape.join())
        throw new UserError(`${path}: "${name}" has the shape ${shownJson(stored)}, not ${shownJson(shape)}`);
    }
    file.load(new Map(into.map(({ name, data }) => [name, data])), options);
  } finally {
    file.close();
  }
}

interface Writing {
  readonly lock: FolderLock;
  readonly logs: Readonly<Record<LogName, LogWriter>>;
  savedStep: number | undefined;
}

/** The writing side of a run whose folder is there. */
function runIn(folder: string, config: ModelConfig, tokenizer: Tokenizer, writing: Writing): Run {
  const { lock, logs } = writing;
  const facts = modelFacts(config, tokenizer);
  const flush = () => ({
    metrics: logs.metrics.flush(),
    samples: logs.samples.flush(),
    speed: logs.speed.flush(),
  });
  return {
    folder,
    get savedStep() {
      return writing.savedStep;
    },
    saveBest(tensors, metadata) {
      lock.check();
      writeWeights(folder, tensors, { ...metadata, ...facts });
    },
    saveCheckpoint(parameters, moments, state) {
      if (state.step === writing.savedStep) return; // an evaluation and the end can fall on one step
      lock.check();
      const { metrics, samples } = flush();
      const whole = { format: STATE_FORMAT, ...state, log_bytes: { metrics, samples } };
      const temporary = join(folder, `${checkpointName(state.step)}.${process.pid}.tmp`);
      try {
        fill(temporary, whole);
        renameSync(temporary, join(folder, checkpointName(state.step)));
      } catch (error) {
        removeIfPossible(temporary); // the disk may refuse that too: then it is swept away when the run goes on
        throw error;
      }
      syncFolder(folder);
      writing.savedStep = state.step;
      retireBefore(folder, state);

      function fill(into: string, { format, ...rest }: TrainerState): void {
        rmSync(into, { recursive: true, force: true });
        mkdirSync(into);
        const metadata = { step: String(state.step) };
        writeModelDescription(into, config, tokenizer, writeFileFlushed);
        writeWeights(into, parameters, { ...metadata, ...facts }, writeFileFlushed);
        writeFileFlushed(join(into, OPTIMIZER), safetensorsPieces(moments, metadata));
        if (state.best_step > 0) linkFile(join(folder, WEIGHTS), join(into, BEST));
        writeJson(join(into, STATE), { format, ...rest }, writeFileFlushed);
        syncFolder(into);
      }
    },
    log: (name, entry) => logs[name].append(entry),
    flushLog() {
      lock.check();
      flush();
    },
    rollBack(step) {
      lock.check();
      const good = checkpointUpTo(folder, step);
      const opened = good && openCheckpoint(good.folder);
      retire(folder, (other) => other > (good?.step ?? -1));
      writing.savedStep = good?.step;
      return opened;
    },
    close: () => lock.release(),
  };
}

/** Removes the checkpoints that are not needed any more beside this one: all but the one of `good_step`. */
function retireBefore(folder: string, { step, good_step }: Pick<TrainerState, 'step' | 'good_step'>): void {
  const good = checkpointUpTo(folder, good_step)?.step;
  retire(folder, (other) => other !== step && other !== good);
}

/**
 * Removes checkpoints: first their names, then what is in them, so that a half-removed one is never taken for one. What
 * cannot be removed now is tried again after the next checkpoint.
 */
function retire(folder: string, isRetired: (step: number) => boolean): void {
  for (const { step, folder: old } of checkpointsOf(folder)) {
    if (!isRetired(step)) continue;
    const aside = `${old}.old.${process.pid}.tmp`;
    try {
      renameSync(old, aside);
    } catch {
      continue;
    }
    removeIfPossible(aside);
  }
}

function removeIfPossible(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // it only takes up space
  }
}

interface Found {
  readonly step: number;
  readonly folder: string;
}

const checkpointName = (step: number): string => `checkpoint-${step}`;

/** The complete checkpoints of a run, in order. */
const checkpointsOf = (folder: string): Found[] =>
  readdirSync(folder)
    .filter((file) => /^checkpoint-\d+$/.test(file))
    .map((file) => ({ step: Number(file.slice(checkpointName(0).length - 1)), folder: join(folder, file) }))
    .toSorted((a, b) => a.step - b.step);

/** The latest checkpoint of a run, if it has one. */
export const latestCheckpoint = (folder: string): Found | undefined => checkpointsOf(folder).at(-1);

const checkpointUpTo = (folder: string, step: number): Found | undefined =>
  checkpointsOf(folder).findLast((found) => found.step <= step);

const isRunFile = (file: string): boolean =>
  /^(checkpoint-\d+|(metrics|samples|speed)\.jsonl|model\.safetensors|report\.html|.*\.tmp)$/.test(file);
