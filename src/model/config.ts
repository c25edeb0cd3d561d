import { UsageError } from '../errors.ts';
import { optionName } from '../messages.ts';
import type { LoraConfig } from './lora.ts';

/**
 * Shape and arithmetic of a model: the fields all architectures share, under nanoGPT's names. config.json has their Hugging
 * Face names.
 */
export interface ModelConfig {
  /** Name of the architecture, whose additional fields the config also has. */
  readonly arch: string;
  /** V: vocabulary size. */
  readonly vocabSize: number;
  /** T: context length in tokens; GPT-2's n_positions. */
  readonly blockSize: number;
  /** L: transformer blocks. */
  readonly nLayer: number;
  /** H: attention heads. */
  readonly nHead: number;
  /** C: channels of the residual stream. */
  readonly nEmbd: number;
  /** Dropout probability after the embeddings, on attention probabilities, and on both residual branches. Training only. */
  readonly dropout: number;
  /** The output head is the token embedding, as in GPT-2, instead of a matrix of its own. */
  readonly tieWordEmbeddings: boolean;
  /** Low-rank adapters, which alone are trained. */
  readonly lora?: LoraConfig | undefined;
}

export type ModelShape = Pick<ModelConfig, 'nLayer' | 'nHead' | 'nEmbd' | 'blockSize'>;
export interface Preset extends ModelShape {
  readonly dropout: number;
  /** Sequences per step in the source of the preset. */
  readonly batchSize: number;
}

/**
 * `nano` and `baby` are nanoGPT's CPU and GPU configurations for character-level Shakespeare, `gpt2…` are GPT-2 (Radford et
 * al. 2019, table 2), `gpt3…` the eight sizes of GPT-3 (Brown et al. 2020, table 2.1), whose batch sizes are given there in
 * tokens. Two rows of that table are inconsistent and follow their parameter counts here: XL has 16 heads of 128 for its
 * 2,048 channels, not 24, and 13B has 5,120 channels for its 40 heads of 128, not 5,140.
 */
export const presets = {
  nano: { nLayer: 4, nHead: 4, nEmbd: 128, blockSize: 64, dropout: 0, batchSize: 12 },
  baby: { nLayer: 6, nHead: 6, nEmbd: 384, blockSize: 256, dropout: 0.2, batchSize: 64 },
  gpt2: { nLayer: 12, nHead: 12, nEmbd: 768, blockSize: 1024, dropout: 0.1, batchSize: 8 },
  'gpt2-medium': { nLayer: 24, nHead: 16, nEmbd: 1024, blockSize: 1024, dropout: 0.1, batchSize: 4 },
  'gpt2-large': { nLayer: 36, nHead: 20, nEmbd: 1280, blockSize: 1024, dropout: 0.1, batchSize: 2 },
  'gpt2-xl': { nLayer: 48, nHead: 25, nEmbd: 1600, blockSize: 1024, dropout: 0.1, batchSize: 1 },
  'gpt3-125m': { nLayer: 12, nHead: 12, nEmbd: 768, blockSize: 2048, dropout: 0, batchSize: 256 },
  'gpt3-350m': { nLayer: 24, nHead: 16, nEmbd: 1024, blockSize: 2048, dropout: 0, batchSize: 256 },
  'gpt3-760m': { nLayer: 24, nHead: 16, nEmbd: 1536, blockSize: 2048, dropout: 0, batchSize: 256 },
  'gpt3-1.3b': { nLayer: 24, nHead: 16, nEmbd: 2048, blockSize: 2048, dropout: 0, batchSize: 512 },
  'gpt3-2.7b': { nLayer: 32, nHead: 32, nEmbd: 2560, blockSize: 2048, dropout: 0, batchSize: 512 },
  'gpt3-6.7b': { nLayer: 32, nHead: 32, nEmbd: 4096, blockSize: 2048, dropout: 0, batchSize: 1024 },
  'gpt3-13b': { nLayer: 40, nHead: 40, nEmbd: 5120, blockSize: 2048, dropout: 0, batchSize: 1024 },
  'gpt3-175b': { nLayer: 96, nHead: 96, nEmbd: 12_288, blockSize: 2048, dropout: 0, batchSize: 1536 },
} as const satisfies Record<string, Preset>;
export type PresetName = keyof typeof presets;
export const presetNames = Object.keys(presets) as PresetName[];

/**
 * The depth of the deepest published Transformer (DeepNet, Wang et al. 2022). Programs are recorded layer by layer, so
 * depth must be limited.
 */
export const MAX_LAYERS = 1000;

/** @throws UsageError unless the value is an integer of at least 1 */
export function checkWholeNumber(field: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1)
    throw new UsageError(
      'bad-option-value',
      `${optionName(field)} is ${value}; it must be a whole number of at least 1`,
    );
}

/** @throws UsageError unless H divides C, with the nearest numbers that do */
export function checkHeads({ nHead, nEmbd }: ModelConfig): void {
  if (nEmbd % nHead === 0) return;
  throw new UsageError(
    'bad-option-value',
    `${optionName('nHead')} ${nHead} does not divide ${optionName('nEmbd')} ${nEmbd}`,
    {
      hint: `each head gets an equal share of the channels: use ${optionName('nHead')} ${divisorsNear(nEmbd, nHead).join(' or ')}, or ${optionName('nEmbd')} ${Math.ceil(nEmbd / nHead) * nHead}`,
    },
  );
}

/** Validates the fields all architectures share. @throws UsageError naming the field, its value and a remedy */
export function checkCommonFields(config: ModelConfig): void {
  for (const field of ['vocabSize', 'blockSize', 'nLayer', 'nHead', 'nEmbd'] as const)
    checkWholeNumber(field, config[field]);
  if (config.nLayer > MAX_LAYERS)
    throw new UsageError(
      'bad-option-value',
      `${optionName('nLayer')} is ${config.nLayer}; at most ${MAX_LAYERS} are supported`,
    );
  if (!(config.dropout >= 0 && config.dropout < 1))
    throw new UsageError(
      'bad-option-value',
      `${optionName('dropout')} is ${config.dropout}; it must be at least 0 and less than 1`,
    );
}

/** The divisors of n closest to k, below and above. */
function divisorsNear(n: number, k: number): number[] {
  let below = Math.min(k, n);
  while (n % below !== 0) below--;
  let above = k;
  while (above < n && n % above !== 0) above++;
  return above <= n && above !== below ? [below, above] : [below];
}
