/** What a training run writes into its folder, and how it goes on from there. */
import { isSystemError, UsageError, UserError, type SystemError } from '../errors.ts';
import {
  ESTIMATED_LOSS,
  openModelFolder,
  VALIDATION_LOSS,
  VALIDATION_TOKENS,
} from '../checkpoint/model-folder.ts';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { ResumedRun, Run } from '../checkpoint/run.ts';
import type { TrainerState } from '../checkpoint/trainer-state.ts';
import type { NamedTensor } from '../model/placement.ts';
import { shellQuoted } from '../shell-quote.ts';
import { freshProgress, type Progress, type TrainEvent } from './loop.ts';
import type { TextChange } from './new-text.ts';
import type { Settings } from './settings.ts';
import { checkStoredOptions } from './stored-options.ts';
import type { Trainer } from './trainer.ts';
import type { TrainingData } from './training-data.ts';

/** A checkpoint that could not be written. Training goes on, and the next one is tried when it is due. */
export interface SaveFailure {
  readonly step: number;
  /** The step of the last checkpoint that was written, which is intact; undefined if there is none. */
  readonly savedStep: number | undefined;
  readonly error: SystemError;
}

/** About so many lines say how fast a run was. */
const SPEED_LINES = 200;

interface Saved {
  readonly trainer: Trainer;
  readonly settings: Settings;
  readonly data: TrainingData;
  readonly tokensPerStep: number;
  readonly engine: string;
}

export interface Keeper {
  readonly handle: (event: TrainEvent) => void;
  /** Overwrites the trainer's parameters with those of the best model so far. */
  readonly loadBest: () => void;
  /**
   * Saves the best model, which is in the trainer, with an estimated loss: that of another validation sample than before.
   * Recovering a lost best model relies on the two being equal in the weights and in the trainer's state.
   */
  readonly relabelBest: (step: number, estimatedLoss: number) => void;
}

/**
 * Saves what each event calls for: lines of the log, the best model, checkpoints.
 *
 * A disk may be full for a while, so a failure to save is reported and training goes on; but at the end there is nothing
 * to wait for, and it is thrown.
 */
export function keeper(
  run: Run,
  { trainer, settings, data, tokensPerStep, engine }: Saved,
  onFailure: (failure: SaveFailure) => void,
): Keeper {
  // Times go to a log of their own: everything else a run leaves is the same, byte for byte, whenever it is repeated.
  const speedInterval = Math.ceil(settings.maxIters / SPEED_LINES);
  let seconds = 0;
  let steps = 0;
  let failure: SaveFailure | undefined;
  let unsavedBest: { readonly tensors: readonly NamedTensor[]; readonly save: () => void } | undefined;

  const saveBest = (step: number, metadata: Readonly<Record<string, string>>): void => {
    const whole = { step: String(step), ...metadata };
    try {
      run.saveBest(trainer.parameters(), whole);
      unsavedBest = undefined;
    } catch (error) {
      if (!isSystemError(error)) throw error;
      const copies = trainer.parameters().map((tensor) => ({ ...tensor, data: tensor.data.slice() }));
      // The checkpoint that follows tries again, and reports it.
      unsavedBest = { tensors: copies, save: () => run.saveBest(copies, whole) };
    }
  };
  const saveEstimated = (step: number, loss: number): void =>
    saveBest(step, { [ESTIMATED_LOSS]: String(loss) });
  const saveCheckpoint = (progress: Progress): void => {
    unsavedBest?.save();
    unsavedBest = undefined;
    run.saveCheckpoint(trainer.parameters(), trainer.moments(), {
      ...stateOf(progress),
      tokens_seen: progress.step * tokensPerStep,
      seed: settings.seed,
      corpus_sha256: data.corpus.sha256,
      validation_sha256: data.validationSha256 ?? null,
      engine,
      options: { ...settings },
    });
  };
  const attempt = (step: number, save: () => void): void => {
    try {
      failure = undefined;
      save();
    } catch (error) {
      if (!isSystemError(error)) throw error;
      failure = { step, savedStep: run.savedStep, error };
    }
  };

  const handle = (event: TrainEvent): void => {
    switch (event.type) {
      case 'step':
        seconds += event.seconds;
        steps++;
        if (event.step % speedInterval === 0 || event.step === settings.maxIters) {
          run.log('speed', { step: event.step, seconds, tokens: steps * tokensPerStep });
          seconds = steps = 0;
        }
        run.log('metrics', {
          step: event.step,
          loss: event.loss,
          lr: event.learningRate,
          grad_norm: event.gradNorm,
          ...(event.skipped !== undefined && { skipped: event.skipped }),
        });
        return;
      case 'evaluation':
        run.log('metrics', {
          step: event.step,
          train_loss_estimate: event.trainLoss,
          val_loss_estimate: event.validationLoss,
        });
        if (event.best) saveEstimated(event.step, event.validationLoss);
        return;
      case 'checkpoint':
        attempt(event.progress.step, () => saveCheckpoint(event.progress));
        if (failure !== undefined) onFailure(failure);
        return;
      case 'rollback':
        run.log('metrics', {
          step: event.from,
          rollback_to: event.to,
          rollbacks: event.progress.health.rollbacks,
          fault: event.why.fault,
          tensor: event.why.tensor,
        });
        return;
      case 'end': {
        const { reason, progress, validationLoss } = event;
        if (reason === 'diverged') return;
        if (failure === undefined)
          attempt(progress.step, () => {
            // Weights first, then the line that ends the run: killed in between, a run ends again when it is resumed.
            if (validationLoss !== undefined)
              saveBest(progress.bestStep, {
                [VALIDATION_LOSS]: String(validationLoss),
                [VALIDATION_TOKENS]: String(data.validation.length - 1),
              });
            else if (progress.bestStep === 0) saveBest(progress.step, {}); // never evaluated: there is no better one
            unsavedBest?.save();
            if (reason !== 'interrupted')
              run.log('metrics', {
                step: progress.step,
                end: reason,
                best_step: progress.bestStep,
                val_loss: validationLoss ?? null,
              });
            run.flushLog();
          });
        if (failure !== undefined) throw lost(run, failure);
        return;
      }
      default:
        event satisfies never;
    }
  };
  const loadBest = (): void => {
    if (unsavedBest === undefined) return openModelFolder(run.folder).load(trainer.parameters());
    const saved = new Map(unsavedBest.tensors.map((tensor) => [tensor.name, tensor.data]));
    for (const { name, data: into } of trainer.parameters()) into.set(saved.get(name)!);
  };
  return { handle, loadBest, relabelBest: saveEstimated };
}

function lost({ folder }: Run, { step, savedStep, error }: SaveFailure): UserError {
  return new UserError('write-failed', `step ${step} could not be saved`, {
    cause: error,
    hint:
      savedStep === undefined
        ? 'nothing was saved before'
        : `the checkpoint of step ${savedStep} is intact: gpt train --resume ${shellQuoted(folder)}`,
  });
}

/** A run's standing as gpt_trainer_state.json has it; infinite losses are null there. */
function stateOf(progress: Progress) {
  const { step, updates, bestStep, bestLoss, worse, goodStep, evaluationDue, health } = progress;
  return {
    step,
    updates,
    best_step: bestStep,
    best_loss: Number.isFinite(bestLoss) ? bestLoss : null,
    evaluations_without_improvement: worse,
    good_step: goodStep,
    ...(evaluationDue && { evaluation_due: true }),
    health: {
      recent_losses: health.recent,
      overcome_spikes: health.overcome,
      skipped_in_a_row: health.skipped,
      skipped_loss: health.skippedLoss ?? null,
      rollbacks: health.rollbacks,
      learning_rate_factor: health.learningRateFactor,
    },
  };
}

/** The way back. */
export function progressOf({ health, ...state }: TrainerState): Progress {
  return {
    step: state.step,
    updates: state.updates,
    bestStep: state.best_step,
    bestLoss: state.best_loss ?? Infinity,
    worse: state.evaluations_without_improvement,
    goodStep: state.good_step,
    evaluationDue: state.evaluation_due === true,
    health: {
      recent: health.recent_losses,
      overcome: health.overcome_spikes,
      skipped: health.skipped_in_a_row,
      skippedLoss: health.skipped_loss ?? undefined,
      rollbacks: health.rollbacks,
      learningRateFactor: health.learning_rate_factor,
    },
  };
}

/** Puts parameters and moments back to a checkpoint, or to the start if there is none. */
export function restore(trainer: Trainer, checkpoint: Checkpoint | undefined): Progress {
  if (checkpoint === undefined) {
    trainer.reset();
    return freshProgress;
  }
  checkStoredOptions(checkpoint);
  // A run may have been stopped in the middle of diverging. It is to continue as if it had not been: by rolling back.
  checkpoint.model.load(trainer.parameters(), { allowNonFinite: true });
  checkpoint.loadMoments(trainer.moments(), { allowNonFinite: true });
  return progressOf(checkpoint.state);
}

/** @throws UserError if the run cannot go on: it is done, or its text is another */
export function checkResume(
  { checkpoint: { state }, ended }: ResumedRun,
  data: TrainingData,
  settings: Settings,
  { force, change }: { readonly force: boolean; readonly change: TextChange | undefined },
): void {
  if (ended !== undefined && state.step >= settings.maxIters)
    throw new UsageError('nothing-to-do', `the run has done its ${state.step} steps`, {
      hint: 'give a larger --max-iters to go on with it',
    });
  const { patience } = settings;
  const { evaluations_without_improvement: worse } = state;
  if (ended !== undefined && patience > 0 && worse >= patience && !(force && change === 'text'))
    throw new UsageError('nothing-to-do', `the run has stopped after ${worse} evaluations without progress`, {
      hint: 'give a larger --patience, or 0, to go on with it',
    });
  if (force) return;
  const hint = 'name the same files, or use --force to go on with these';
  const { corpus } = data;
  if (state.corpus_sha256 !== corpus.sha256)
    throw new UserError(
      'text-changed',
      `${corpus.paths.join(', ')} is not the text the run was started with`,
      {
        hint:
          corpus.files.length === 1
            ? hint
            : `${hint}; earlier versions read folders in another order, and put no line break between files`,
      },
    );
  if (state.validation_sha256 !== (data.validationSha256 ?? null))
    throw new UserError(
      'text-changed',
      `${settings.valFile ?? 'no --val-file'} is not what the run was validated on before`,
      { hint },
    );
}
