/**
 * The folder of a run. It is itself a Hugging Face model folder with the best model so far, and contains checkpoints to
 * resume from (checkpoint.ts), logs with one line per step and evaluation (logs.ts, log-writer.ts) and a lock against other
 * writers (lock.ts).
 *
 * A checkpoint is written under a temporary name, flushed, and renamed when complete; then older ones are renamed and
 * removed. At any instant there is a complete checkpoint, and every checkpoint is complete.
 */
import { existsSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { attempt, namingAsync, UserError } from '../errors.ts';
import { optionName } from '../messages.ts';
import type { ModelConfig } from '../model/config.ts';
import type { TensorSource } from '../model/tensor.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { makeFolder, syncFolder } from '../write-file.ts';
import { writeCard } from './card-file.ts';
import {
  addEvaluation,
  bytesOf,
  openCheckpoint,
  writeCheckpoint,
  type BaseOpening,
  type Checkpoint,
  type CheckpointContent,
  type TrainedTensors,
} from './checkpoint.ts';
import { checkpointName, checkpointsOf, checkpointUpTo, latestCheckpoint } from './checkpoint-folders.ts';
import { LOCK, lockFolder, type FolderLock } from './lock.ts';
import { elapsedOf, endOf, LogWriter, resumeLog } from './log-writer.ts';
import { damageOf, keepLog, logPath, secondsOfSteps, type LogEntry, type LogName } from './logs.ts';
import {
  modelFacts,
  savedTensors,
  weightsFile,
  writeModelDescription,
  writeWeights,
  type ModelFolder,
} from './model-folder.ts';
import { openModelFolder } from './open-model.ts';
import { isRun, isVacant, removeCheckpoint, removeRun, sweepTemporaries } from './own-files.ts';
import { planRestoration } from './restore-run.ts';
import { checkResumable, withoutCheckpoint } from './resumable.ts';
import type { TrainerState } from './trainer-state.ts';

/** A run open for writing, by this process only. */
export interface Run {
  readonly folder: string;
  /** Opens the best model. */
  openBest(): ModelFolder;
  /** Step of the latest checkpoint; undefined if there is none. */
  readonly savedStep: number | undefined;
  /** Replaces the best model. @param saved called with the share written, 0 … 1 */
  saveBest(
    tensors: readonly TensorSource[],
    metadata: Readonly<Record<string, string>>,
    saved?: (done: number) => void,
  ): Promise<void>;
  /**
   * Writes a checkpoint and removes all others except that of `good_step`. If this step already has one, only the outcome
   * of the evaluation that was due is added to it.
   *
   * @param saved called with the share written, 0 … 1
   * @throws a system error if that fails; earlier checkpoints are then unchanged
   */
  saveCheckpoint(
    trained: TrainedTensors,
    state: Omit<TrainerState, 'format' | 'files' | 'log_bytes'>,
    saved?: (done: number) => void,
  ): Promise<void>;
  /** Writes the model card, unless the folder has a README.md that is not ours. */
  saveCard(text: string): void;
  /** Wall time of the run's earlier invocations, in seconds. */
  readonly elapsedBefore: number;
  /**
   * Appends a line to a log. If that fails, the next checkpoint retries.
   *
   * @param elapsed seconds, added as the field `elapsed_seconds`
   */
  log(name: LogName, entry: LogEntry, elapsed?: number): void;
  /** Flushes all logs to disk. @throws a system error if that fails */
  flushLog(): void;
  /**
   * Returns the last checkpoint at or before a step and removes all later ones.
   *
   * @returns undefined if there is none
   */
  rollBack(step: number): Checkpoint | undefined;
  /** Releases the lock. */
  close(): void;
}

/** Creates a run. @throws UserError if the folder is not empty, unless `overwrite` */
export function createRun(
  folder: string,
  config: ModelConfig,
  tokenizer: Tokenizer,
  { overwrite = false } = {},
): Run {
  if (existsSync(folder)) checkVacant(folder, overwrite);
  makeFolder(folder);
  const lock = lockFolder(folder);
  try {
    if (!overwrite && !isVacant(folder)) throw notEmpty(folder); // another process was faster
    removeRun(folder);
    writeModelDescription(folder, config, tokenizer);
  } catch (error) {
    lock.release();
    throw error;
  }
  const writer = (name: LogName): LogWriter => new LogWriter(logPath(folder, name));
  const logs = { metrics: writer('metrics'), samples: writer('samples'), speed: writer('speed') };
  return runIn(folder, config, tokenizer, { lock, logs, saved: undefined, base: undefined });
}

/** @throws UserError unless the folder is empty, or may be emptied */
function checkVacant(folder: string, overwrite: boolean): void {
  if (!statSync(folder).isDirectory())
    throw new UserError('wrong-file-kind', `${folder} is a file; a run needs a folder`, {
      hint: `choose another ${optionName('outDir')}`,
    });
  if (!overwrite && readdirSync(folder).some((file) => file !== LOCK)) throw notEmpty(folder);
}

const notEmpty = (folder: string): UserError =>
  new UserError('output-exists', `${folder} exists and is not empty`, {
    hint:
      isVacant(folder) || isRun(folder)
        ? `choose another ${optionName('outDir')}, continue it with ${optionName('resume')}, or replace it with ${optionName('overwrite')}`
        : `choose another ${optionName('outDir')}`,
  });

/** A run about to be resumed: its latest checkpoint, and its folder, locked by this process. */
export interface ResumedRun {
  readonly checkpoint: Checkpoint;
  /** Messages about what was missing or damaged, and how it will be repaired. */
  readonly repairs: readonly string[];
  /** How the run ended, if it did. */
  readonly ended: string | undefined;
  /**
   * Restores the folder to the checkpoint, including best model and logs, and opens it for writing.
   *
   * @param config of the model from here on, if it differs from the checkpoint's, as dropout may
   */
  continue(config?: ModelConfig): Run;
  /** Releases the lock. */
  close(): void;
}

/**
 * Opens a run to resume it and verifies everything that will be restored.
 *
 * @param base of an adapter, if it is not where adapter_config.json says
 * @throws UserError if it has no checkpoint, is damaged beyond repair, or is locked
 */
export function resumeRun(folder: string, { base }: BaseOpening = {}): ResumedRun {
  checkResumable(folder);
  const lock = lockFolder(folder);
  try {
    const latest = latestCheckpoint(folder);
    if (latest === undefined) throw withoutCheckpoint(folder); // removed before the lock was taken
    const checkpoint = openCheckpoint(latest, { base });
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
        retireBefore(folder, state); // a kill may have prevented that after the checkpoint was written
        const cutAtStep = (path: string): LogWriter => {
          keepLog(path, state.step);
          return resumeLog(path, Infinity);
        };
        // In a damaged log, the recorded length may be in the middle of a line.
        const resumed = (name: 'metrics' | 'samples'): LogWriter =>
          damage[name] === undefined
            ? resumeLog(logPath(folder, name), logBytes[name])
            : cutAtStep(logPath(folder, name));
        const logs = {
          metrics: resumed('metrics'),
          samples: resumed('samples'),
          speed: cutAtStep(logPath(folder, 'speed')), // its length differs from run to run, so it is not part of a checkpoint
        };
        if (!isDeepStrictEqual(config, model.config)) writeModelDescription(folder, config, model.tokenizer);
        return runIn(folder, config, model.tokenizer, {
          lock,
          logs,
          saved: state,
          base: model.base?.folder,
          elapsedBefore: elapsedSoFar(folder),
        });
      },
      close: () => lock.release(),
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

interface WriterState {
  readonly lock: FolderLock;
  readonly logs: Readonly<Record<LogName, LogWriter>>;
  /** Of the latest checkpoint, if there is one. */
  saved: Pick<TrainerState, 'step' | 'evaluation_due'> | undefined;
  /** Of an adapter, if it is not where adapter_config.json says. */
  readonly base: string | undefined;
  readonly elapsedBefore?: number;
}

/** Wall time of a run according to its logs, in seconds. Older logs have only the time of the steps. */
const elapsedSoFar = (folder: string): number =>
  elapsedOf(logPath(folder, 'metrics')) ?? secondsOfSteps(logPath(folder, 'speed'));

/** The writer for an existing folder. */
function runIn(folder: string, config: ModelConfig, tokenizer: Tokenizer, writer: WriterState): Run {
  const { lock, logs, base, elapsedBefore = 0 } = writer;
  const facts = modelFacts(config, tokenizer);
  const flush = () => ({
    metrics: logs.metrics.flush(),
    samples: logs.samples.flush(),
    speed: logs.speed.flush(),
  });
  return {
    folder,
    openBest: () => openModelFolder(folder, { base }),
    get savedStep() {
      return writer.saved?.step;
    },
    async saveBest(tensors, metadata, saved) {
      lock.check();
      const total = bytesOf(savedTensors(config, tensors));
      const written = (bytes: number): void => saved?.(Math.min(1, bytes / total));
      await writeWeights(folder, config, tensors, { ...metadata, ...facts }, { written });
    },
    async saveCheckpoint(trained, state, saved) {
      const { saved: last } = writer;
      const isSaved = state.step === last?.step; // the end of a run may coincide with an evaluation
      if (isSaved && (last.evaluation_due !== true || state.evaluation_due === true)) return;
      lock.check();
      const { metrics, samples } = flush();
      const complete = join(folder, checkpointName(state.step));
      const best = state.best_step > 0 ? join(folder, weightsFile(config)) : undefined;
      const content = { best, state: { ...state, log_bytes: { metrics, samples } } };
      await namingAsync(complete, async () => {
        if (isSaved) addEvaluation(complete, content);
        else await writeRenamed(complete, { config, tokenizer, trained, ...content }, saved);
      });
      syncFolder(folder);
      writer.saved = state;
      retireBefore(folder, state);
    },
    saveCard(text) {
      lock.check();
      writeCard(folder, text);
    },
    elapsedBefore,
    log: (name, entry, elapsed) => logs[name].append(entry, elapsed),
    flushLog() {
      lock.check();
      flush();
    },
    rollBack(step) {
      lock.check();
      const good = checkpointUpTo(folder, step);
      const opened = good && openCheckpoint(good, { base });
      retire(folder, (other) => other > (good?.step ?? -1));
      writer.saved = opened?.state;
      return opened;
    },
    close: () => lock.release(),
  };
}

/** Writes a checkpoint under a temporary name and renames it when it is complete. */
async function writeRenamed(
  complete: string,
  content: CheckpointContent,
  saved?: (done: number) => void,
): Promise<void> {
  const temporary = `${complete}.${process.pid}.tmp`;
  try {
    await writeCheckpoint(temporary, content, saved);
    renameSync(temporary, complete);
  } catch (error) {
    removeIfPossible(temporary); // if this fails too, the next resume removes it
    throw error;
  }
}

/** Removes checkpoints other than this one and that of `good_step`. */
function retireBefore(folder: string, { step, good_step }: Pick<TrainerState, 'step' | 'good_step'>): void {
  const good = checkpointUpTo(folder, good_step)?.step;
  retire(folder, (other) => other !== step && other !== good);
}

/** Removes checkpoints. Failures are retried after the next checkpoint. */
export function retire(folder: string, isRetired: (step: number) => boolean): void {
  for (const { step, folder: old } of checkpointsOf(folder))
    if (isRetired(step)) attempt(() => removeCheckpoint(old));
}

/** If it cannot be removed, it only takes up space. */
const removeIfPossible = (folder: string): void =>
  attempt(() => rmSync(folder, { recursive: true, force: true }));
