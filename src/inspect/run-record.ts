/** Collects the records of a run's training and its model. */
import { readLogs, type EndMetrics, type EvaluationMetrics, type RunLogs } from '../checkpoint/logs.ts';
import {
  ESTIMATED_LOSS,
  IS_AVERAGE,
  VALIDATION_LOSS,
  VALIDATION_TOKENS,
  type ModelFolder,
} from '../checkpoint/model-folder.ts';
import { openModelFolder } from '../checkpoint/open-model.ts';
import { latestCheckpoint, stateFileOf } from '../checkpoint/checkpoint-folders.ts';
import { readTrainerState, type TrainerState } from '../checkpoint/trainer-state.ts';

export interface RunRecord {
  readonly model: ModelFolder;
  /** State of the training; undefined for a model without a run. */
  readonly state: TrainerState | undefined;
  readonly logs: RunLogs;
}

/**
 * @param base an adapter's base model, if it has moved
 * @throws UserError if the folder holds no model or is damaged
 */
export const readRun = (folder: string, base?: string): RunRecord =>
  runRecordOf(openModelFolder(folder, { base }));

export function runRecordOf(model: ModelFolder): RunRecord {
  const checkpoint = latestCheckpoint(model.folder);
  const stateFile = checkpoint && stateFileOf(checkpoint.folder);
  return {
    model,
    state: stateFile === undefined ? undefined : readTrainerState(stateFile),
    logs: readLogs(model.folder),
  };
}

/** In nats per token. */
export interface ValidationLoss {
  readonly loss: number;
  /** Step of the model it was measured on. */
  readonly step: number;
  /** Measured on a sample of the validation split, as during training. */
  readonly isEstimate: boolean;
  /** That model is the moving average of the weights. */
  readonly isAverage: boolean;
}

/** Key figures of a run; undefined where its logs do not have them. */
export interface RunSummary {
  /** Steps so far. */
  readonly steps: number | undefined;
  readonly tokensSeen: number | undefined;
  /** Validation loss of the best model. */
  readonly validation: ValidationLoss | undefined;
  /** The last evaluation, on a sample. */
  readonly last: EvaluationMetrics | undefined;
  /** Total time of steps, and their tokens per second. */
  readonly seconds: number | undefined;
  readonly tokensPerSecond: number | undefined;
}

export function summarizeRun({ model, state, logs }: RunRecord): RunSummary {
  const { steps, evaluations, speed, end } = logs;
  const best = lowestOf(evaluations);
  const seconds = speed.reduce((sum, entry) => sum + entry.seconds, 0);
  const timed = speed.reduce((sum, entry) => sum + entry.tokens, 0);
  return {
    steps: steps.at(-1)?.step ?? state?.step,
    tokensSeen: state?.tokens_seen,
    validation: hasValidation(state) ? keptLoss(model.metadata, best, end) : undefined,
    last: evaluations.at(-1),
    seconds: speed.length > 0 ? seconds : undefined,
    tokensPerSecond: seconds > 0 ? timed / seconds : undefined,
  };
}

const lowestOf = (evaluations: readonly EvaluationMetrics[]): EvaluationMetrics | undefined =>
  evaluations
    .filter(({ validationLoss }) => Number.isFinite(validationLoss))
    .reduce<EvaluationMetrics | undefined>(
      (found, each) => (found === undefined || each.validationLoss < found.validationLoss ? each : found),
      undefined,
    );

/**
 * The validation loss of the best model by the metadata of its weights. The logs are read only where older weights do not
 * have it.
 */
export function validationLossOf(
  folder: string,
  metadata: ModelFolder['metadata'],
  state: TrainerState | undefined,
): ValidationLoss | undefined {
  if (!hasValidation(state)) return undefined;
  if (VALIDATION_LOSS in metadata && VALIDATION_TOKENS in metadata)
    return keptLoss(metadata, undefined, undefined);
  const { evaluations, end } = readLogs(folder);
  return keptLoss(metadata, lowestOf(evaluations), end);
}

/** Without a validation split, evaluations cover the training split only. */
const hasValidation = (state: TrainerState | undefined): boolean =>
  state === undefined || state.options['valFile'] !== undefined || state.options['valFraction'] !== 0;

/**
 * The loss recorded in the weights or, in older runs, in the log at their step. The lowest loss in the log may belong to
 * other weights: evaluations before a change of the text used the old text.
 */
function keptLoss(
  metadata: ModelFolder['metadata'],
  best: EvaluationMetrics | undefined,
  end: EndMetrics | undefined,
): ValidationLoss | undefined {
  const { [VALIDATION_LOSS]: loss, [VALIDATION_TOKENS]: tokens, [ESTIMATED_LOSS]: estimate, step } = metadata;
  const isAverage = metadata[IS_AVERAGE] === 'true';
  if (loss !== undefined && tokens !== undefined)
    return { loss: Number(loss), step: Number(step), isEstimate: false, isAverage };
  const kept = estimate === undefined ? best : { step: Number(step), validationLoss: Number(estimate) };
  if (kept === undefined) return undefined;
  if (end?.best?.step === kept.step)
    return { loss: end.best.validationLoss, step: kept.step, isEstimate: false, isAverage };
  return { loss: kept.validationLoss, step: kept.step, isEstimate: true, isAverage };
}

/** Reduces a curve to at most `limit` points by averaging ranges of steps. */
export function thinned<T extends { readonly step: number }>(
  entries: readonly T[],
  value: (entry: T) => number,
  limit: number,
): { readonly step: number; readonly value: number }[] {
  const stretch = Math.max(1, Math.ceil(entries.length / limit));
  const points: { step: number; value: number }[] = [];
  for (let start = 0; start < entries.length; start += stretch) {
    const part = entries.slice(start, start + stretch);
    const sum = part.reduce((total, entry) => total + value(entry), 0);
    points.push({ step: part[part.length - 1].step, value: sum / part.length });
  }
  return points;
}
