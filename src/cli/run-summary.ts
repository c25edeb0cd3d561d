/** Describes models and runs in the same way for every command. */
import { evaluationFields } from '../checkpoint/logs.ts';
import { summarizeRun, type RunRecord } from '../inspect/run-record.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import { presets, type ModelConfig } from '../model/config.ts';
import { countTrained } from '../model/parameters.ts';
import type { Settings } from '../train/settings.ts';
import { formatCount, formatCountOf, formatNumber } from '../format.ts';

/**
 * `nano: 4 layers, 4 heads, 128 channels, block 64; 813K parameters`, and with adapters `, of which 12K in adapters of rank 8
 * are trained`
 */
export function describeModel({
  settings,
  config,
  parameters,
}: {
  readonly settings: Settings;
  readonly config: ModelConfig;
  readonly parameters: number;
}): string {
  const { nLayer, nHead, nEmbd, blockSize, dropout } = config;
  const isPreset = (['nLayer', 'nHead', 'nEmbd', 'blockSize'] as const).every(
    (field) => presets[settings.preset][field] === config[field],
  );
  const shape = `${formatCountOf(nLayer, 'layer')}, ${formatCountOf(nHead, 'head')}, ${formatCountOf(nEmbd, 'channel')}, block ${blockSize}`;
  return `${isPreset ? `${settings.preset}: ` : ''}${shape}${dropout > 0 ? `, dropout ${dropout}` : ''}${describeHead(config)}; ${formatCount(parameters)} parameters${describeAdapters(config)}`;
}

/** `, tied head` or `, untied head` where that is not the architecture's default. */
export const describeHead = (config: ModelConfig): string =>
  config.tieWordEmbeddings === architectureOf(config).tieWordEmbeddings
    ? ''
    : `, ${config.tieWordEmbeddings ? 'tied' : 'untied'} head`;

const describeAdapters = (config: ModelConfig): string =>
  config.lora === undefined
    ? ''
    : `, of which ${formatCount(countTrained(config))} in adapters of rank ${config.lora.rank} are trained`;

/** `12 epochs`, `0.4 epochs`, or `1.2% of an epoch` where one decimal is too coarse. */
export const formatEpochs = (epochs: number): string =>
  epochs < 0.095
    ? `${Number((100 * epochs).toPrecision(2))}% of an epoch`
    : `${formatNumber(epochs, epochs < 9.95 ? 1 : 0)} epochs`;

/** `500 steps of 768 tokens, 0.4 epochs; adamw, cosine 0.001`, and `about 500 steps` if a time limit ends the run */
export function describeTraining({
  settings,
  steps,
  tokensPerStep,
  epochs,
  isLimitedByTime,
}: {
  readonly settings: Settings;
  readonly steps: number;
  readonly tokensPerStep: number;
  readonly epochs: number | undefined;
  readonly isLimitedByTime: boolean;
}): string {
  const about = isLimitedByTime ? 'about ' : '';
  const passes = epochs === undefined ? '' : `, ${formatEpochs(epochs)}`;
  return `${about}${formatCountOf(steps, 'step')} of ${formatNumber(tokensPerStep)} tokens${passes}; ${settings.optimizer}, ${settings.schedule} ${settings.learningRate}`;
}

/** Losses of a run for --json; `val_loss` is that of the best model on the whole validation split. */
export function lossesToJson(run: RunRecord) {
  const { validation, last } = summarizeRun(run);
  return {
    best_step: validation?.step ?? null,
    best_is_average: validation?.isAverage ?? false,
    val_loss: validation === undefined || validation.isEstimate ? null : validation.loss,
    last_train_loss_estimate: last?.trainLoss ?? null,
    last_val_loss_estimate: last?.validationLoss ?? null,
    evaluations: run.logs.evaluations.map(evaluationFields),
  };
}
