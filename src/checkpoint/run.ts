/**
 * The folder of a run. It is itself the best model so far, as a Hugging Face model folder. In it, `checkpoint-<step>/` is
 * a state of the training to continue from (checkpoint.ts).
 *
 * Its logs have one line for each step and evaluation (logs.ts, log-writer.ts), and run.lock keeps other processes from
 * writing there (lock.ts). A checkpoint is written under a temporary name, flushed, and renamed when it is complete; then
 * older ones are renamed away and removed. So whatever happens, there is a complete one, and what is there is complete.
 */
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { UserError } from '../errors.ts';
import type { ModelConfig } from '../model/config.ts';
import type { NamedTensor } from '../model/placement.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { makeFolder, syncFolder } from '../write-file.ts';
import { openCheckpoint, writeCheckpoint, type Checkpoint } from './checkpoint.ts';
import { checkpointName, checkpointsOf, checkpointUpTo, latestCheckpoint } from './checkpoint-folders.ts';
import { LOCK, lockFolder, type FolderLock } from './lock.ts';
import { endOf, LogWriter, resumeLog } from './log-writer.ts';
import { damageOf, keepLog, logPath, type LogEntry, type LogName } from './logs.ts';
import { modelFacts, WEIGHTS, writeModelDescription, writeWeights } from './model-folder.ts';
import { isRun, isVacant, removeRun, sweepTemporaries } from './own-files.ts';
import { planRestoration } from './restore-run.ts';
import { checkResumable, withoutCheckpoint } from './resumable.ts';
import type { TrainerState } from './trainer-state.ts';

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
    state: Omit<TrainerState, 'format' | 'files' | 'log_bytes'>,
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
    if (!statSync(folder).isDirectory())
      throw new UserError('wrong-file-kind', `${folder} is a file; a run needs a folder`);
    if (!overwrite && readdirSync(folder).some((file) => file !== LOCK))
      throw new UserError('output-exists', `${folder} exists and is not empty`, {
        hint:
          isVacant(folder) || isRun(folder)
            ? 'name another --out-dir, continue it with --resume, or replace it with --overwrite'
            : 'name another --out-dir',
      });
  }
  makeFolder(folder);
  const lock = lockFolder(folder);
  try {
    removeRun(folder);
    writeModelDescription(folder, config, tokenizer);
  } catch (error) {
    lock.release();
    throw error;
  }
  const writer = (name: LogName): LogWriter => new LogWriter(logPath(folder, name));
  const logs = { metrics: writer('metrics'), samples: writer('samples'), speed: writer('speed') };
  return runIn(folder, config, tokenizer, { lock, logs, savedStep: undefined });
}

/** A run to be continued: its latest checkpoint, and the folder, which this process alone writes from now on. */
export interface ResumedRun {
  readonly checkpoint: Checkpoint;
  /** What was missing or damaged in the folder, and what becomes of it; for people. */
  readonly repairs: readonly string[];
  /** How the run ended, if it had come to its end. */
  readonly ended: string | undefined;
  /**
   * Puts the folder back to where the checkpoint was taken, best model and logs included, and continues writing there.
   *
   * @param config of the model from here on, if it is not the checkpoint's: its dropout may change
   */
  continue(config?: ModelConfig): Run;
  /** Lets go of the folder. */
  close(): void;
}

/**
 * Opens a run to continue it, and verifies everything that is going to be restored.
 *
 * @throws UserError if it has no checkpoint, is damaged beyond repair, or is being written
 */
export function resumeRun(folder: string): ResumedRun {
  checkResumable(folder);
  const lock = lockFolder(folder);
  try {
    const latest = latestCheckpoint(folder);
    if (latest === undefined) throw withoutCheckpoint(folder); // removed before the lock was taken
    const checkpoint = openCheckpoint(latest);
    const { state, model } = checkpoint;
    const restoration = planRestoration(folder, checkpoint);
    const logBytes = state.log_bytes;
    const damage = {
      metrics: damageOf(logPath(folder, 'metrics'), logBytes.metrics),
      samples: damageOf(logPath(folder, 'samples'), logBytes.samples),
    };
    return {
      checkpoint,
      repairs: [...restoration.repairs, ...Object.values(damage).filter((what) => what !== undefined)],
      ended: endOf(logPath(folder, 'metrics'), logBytes.metrics),
      continue(config = model.config) {
        restoration.apply();
        sweepTemporaries(folder);
        retireBefore(folder, state); // the process that wrote this checkpoint may have been killed before it could
        const cutAtStep = (path: string): LogWriter => {
          keepLog(path, state.step);
          return resumeLog(path, Infinity);
        };
        // In a damaged log, the checkpoint's length may fall anywhere.
        const resumed = (name: 'metrics' | 'samples'): LogWriter =>
          damage[name] === undefined
            ? resumeLog(logPath(folder, name), logBytes[name])
            : cutAtStep(logPath(folder, name));
        const logs = {
          metrics: resumed('metrics'),
          samples: resumed('samples'),
          speed: cutAtStep(logPath(folder, 'speed')), // of another length each time: no part of a checkpoint
        };
        if (!isDeepStrictEqual(config, model.config)) writeModelDescription(folder, config, model.tokenizer);
        return runIn(folder, config, model.tokenizer, { lock, logs, savedStep: state.step });
      },
      close: () => lock.release(),
    };
  } catch (error) {
    lock.release();
    throw error;
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
      writeWeights(folder, config, tensors, { ...metadata, ...facts });
    },
    saveCheckpoint(parameters, moments, state) {
      if (state.step === writing.savedStep) return; // an evaluation and the end can fall on one step
      lock.check();
      const { metrics, samples } = flush();
      const temporary = join(folder, `${checkpointName(state.step)}.${process.pid}.tmp`);
      try {
        const best = state.best_step > 0 ? join(folder, WEIGHTS) : undefined;
        const whole = { ...state, log_bytes: { metrics, samples } };
        writeCheckpoint(temporary, { config, tokenizer, parameters, moments, best, state: whole });
        renameSync(temporary, join(folder, checkpointName(state.step)));
      } catch (error) {
        removeIfPossible(temporary); // the disk may refuse that too: then it is swept away when the run goes on
        throw error;
      }
      syncFolder(folder);
      writing.savedStep = state.step;
      retireBefore(folder, state);
    },
    log: (name, entry) => logs[name].append(entry),
    flushLog() {
      lock.check();
      flush();
    },
    rollBack(step) {
      lock.check();
      const good = checkpointUpTo(folder, step);
      const opened = good && openCheckpoint(good);
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
