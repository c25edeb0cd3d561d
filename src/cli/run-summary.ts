/** A run in words, for the plan that `train` shows before it starts and for `plan`. */
import { presets, type ModelConfig } from '../model/config.ts';
import type { Settings } from '../train/settings.ts';
import { formatCount, formatNumber } from '../format.ts';

/** `nano: 4 layers, 4 heads, 128 channels, block 64; 813K parameters` */
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
  const shape = `${plural(nLayer, 'layer')}, ${plural(nHead, 'head')}, ${plural(nEmbd, 'channel')}, block ${blockSize}`;
  return `${isPreset ? `${settings.preset}: ` : ''}${shape}${dropout > 0 ? `, dropout ${dropout}` : ''}; ${formatCount(parameters)} parameters`;
}

/** `500 steps of 768 tokens, 0.4 epochs; adamw, cosine 0.001` */
export function describeTraining({
  settings,
  steps,
  tokensPerStep,
  epochs,
}: {
  readonly settings: Settings;
  readonly steps: number;
  readonly tokensPerStep: number;
  readonly epochs: number | undefined;
}): string {
  const passes = epochs === undefined ? '' : `, ${epochs.toFixed(epochs < 10 ? 1 : 0)} epochs`;
  return `${formatNumber(steps)} steps of ${formatNumber(tokensPerStep)} tokens${passes}; ${settings.optimizer}, ${settings.schedule} ${settings.learningRate}`;
}

const plural = (n: number, thing: string): string => `${n} ${thing}${n === 1 ? '' : 's'}`;
