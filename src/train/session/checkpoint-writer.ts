import { existsSync } from 'node:fs';
import { targetCount } from '../../data/token-source.ts';
import { VALIDATION_LOSS, VALIDATION_TOKENS } from '../../checkpoint/model-folder.ts';
import type { Run } from '../../checkpoint/run.ts';
import { weightsOf } from '../../checkpoint/runs.ts';
import type { TrainerState } from '../../checkpoint/trainer-state.ts';
import { isSystemError, UserError, type SystemError } from '../../errors.ts';
import { optionName, trainCall } from '../../messages.ts';
import type { ModelConfig } from '../../model/config.ts';
import type { Report } from '../../reporting.ts';
import { roundingRanks } from '../ranks/gradient-format.ts';
import type { EventSink, RunEnd } from '../events.ts';
import type { Progress } from '../progress.ts';
import { tokensBefore } from '../sequences.ts';
import type { Settings } from '../settings.ts';
import type { StepWork } from '../step-work.ts';
import { progressToState } from '../stored-progress.ts';
import type { Trainer } from '../trainer.ts';
import type { TrainingData } from '../training-data.ts';
import type { BestModel } from './best-model.ts';
import type { MetricsLog } from './metrics-log.ts';
import { cardOf } from './run-card.ts';

/** A checkpoint that could not be written. Training continues, and the next checkpoint is attempted when due. */
export interface SaveFailure {
  readonly step: number;
  /** The step of the last checkpoint that was written, which is intact; undefined if there is none. */
  readonly savedStep: number | undefined;
  readonly error: SystemError;
}

/** Sources of a checkpoint. */
export interface CheckpointSource {
  readonly run: Run;
  readonly log: MetricsLog;
  readonly trainer: Trainer;
  readonly work: StepWork;
  readonly best: BestModel;
  readonly config: ModelConfig;
  readonly data: TrainingData;
  /** The build of the kernels. */
  readonly engine: string;
  /** Number of ranks; 1 without mpirun. */
  readonly ranks: number;
  /** The step at which this process began, and what had computed the steps until then. */
  readonly start: Pick<TrainerState, 'step' | 'ranks'> & Partial<Pick<TrainerState, 'engine' | 'health'>>;
  /** Receives the progress of writing a checkpoint. */
  readonly report: Report;
}

/**
 * Writes the best model, checkpoints, and the end of the run.
 *
 * @param onFailure called for a checkpoint that could not be written, since a full disk may be temporary. At the end of the
 * run the failure is thrown.
 */
export function checkpointWriter(
  source: CheckpointSource,
  onFailure: (failure: SaveFailure) => void,
): EventSink {
  const { run, best } = source;
  let failure: SaveFailure | undefined;
  const attempt = async (step: number, save: () => Promise<void>): Promise<void> => {
    try {
      failure = undefined;
      await save();
    } catch (error) {
      if (!isSystemError(error)) throw error;
      failure = { step, savedStep: run.savedStep, error };
    }
  };
  return async (event, settings) => {
    switch (event.type) {
      case 'evaluation':
        if (event.best) await best.saveEvaluated(event.progress);
        return;
      case 'checkpoint':
        await attempt(event.progress.step, () => saveCheckpoint(source, event.progress, settings));
        if (failure !== undefined) onFailure(failure);
        else saveCardIfPossible(source, event.progress, settings);
        return;
      case 'end':
        if (event.reason === 'diverged') return;
        if (failure === undefined) await attempt(event.progress.step, () => saveEnd(source, event, settings));
        if (failure !== undefined) throw unsavedEnd(run, failure);
        return;
      case 'step':
      case 'rollback':
    }
  };
}

async function saveCheckpoint(
  { run, trainer, work, best, data, engine, ranks, start, report }: CheckpointSource,
  progress: Progress,
  settings: Settings,
): Promise<void> {
  await best.retry();
  // If there is a checkpoint of this step, its tensors stay as they are.
  const replicas = run.savedStep === progress.step ? [] : await work.completeState();
  // After a rollback, this process has computed the step itself.
  const hasTrained =
    progress.step !== start.step || progress.health.rollbacks !== (start.health?.rollbacks ?? 0);
  const computedBy = hasTrained ? { engine, ranks: roundingRanks(settings, ranks) } : start;
  const state = {
    ...progressToState(progress),
    tokens_seen: tokensBefore(progress.step, settings),
    seed: settings.seed,
    corpus_sha256: data.corpus.sha256,
    validation_sha256: data.validationSha256 ?? null,
    engine: computedBy.engine ?? engine,
    ...(computedBy.ranks !== undefined && { ranks: computedBy.ranks }),
    options: { ...settings },
  };
  const trained = {
    parameters: trainer.parameters(),
    moments: trainer.moments(),
    average: trainer.average?.parameters(),
    replicas,
  };
  await run.saveCheckpoint(trained, state, (done) => report('saving a checkpoint', done));
}

/** The next checkpoint, or the end of the run, writes the card again. */
function saveCardIfPossible(
  { run, data, config }: CheckpointSource,
  progress: Progress,
  settings: Settings,
): void {
  try {
    run.saveCard(cardOf({ data, config, settings, progress, validationLoss: undefined }));
  } catch (error) {
    if (!isSystemError(error)) throw error;
  }
}

/** Writes the weights before the log line that ends the run: a run killed between the two ends again when it is resumed. */
async function saveEnd(
  source: CheckpointSource,
  { reason, progress, validationLoss }: RunEnd,
  settings: Settings,
): Promise<void> {
  const { run, work, best, data } = source;
  const { step, bestStep, isBestAverage } = progress;
  if (validationLoss !== undefined)
    await best.save(progress, {
      [VALIDATION_LOSS]: String(validationLoss),
      [VALIDATION_TOKENS]: String(targetCount(data.validation)),
    });
  // Never evaluated, so the last model counts as the best.
  else if (bestStep === 0) {
    await work.takeMean();
    await best.save({ bestStep: step, isBestAverage }, {});
  }
  await best.retry();
  run.saveCard(cardOf({ data, config: source.config, settings, progress, validationLoss }));
  if (reason !== 'interrupted')
    source.log(
      {
        step,
        end: reason,
        best_step: bestStep,
        ...(isBestAverage && { best_is_average: true }),
        val_loss: validationLoss ?? null,
      },
      settings,
    );
  run.flushLog();
}

const unsavedEnd = ({ folder }: Run, { step, savedStep, error }: SaveFailure): UserError =>
  new UserError('write-failed', `step ${step} could not be saved`, {
    cause: error,
    hint:
      savedStep === undefined
        ? existsSync(weightsOf(folder))
          ? `no checkpoint was saved; the last saved model is in ${folder}`
          : `nothing has been saved; free some space or choose another ${optionName('outDir')}`
        : `the checkpoint of step ${savedStep} is intact: ${trainCall([], { resume: folder })}`,
  });
