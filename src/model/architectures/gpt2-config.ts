/** GPT-2's config: its fields, with the original Transformer's variants as choices, and their defaults. */
import { choice, number } from '../../values.ts';
import type { ConfigField } from '../architecture.ts';
import type { ModelConfig } from '../config.ts';
import { innerWidth } from './inner-width.ts';

const activations = ['gelu_new', 'gelu', 'relu'] as const;
export type Activation = (typeof activations)[number];

export interface Gpt2Config extends ModelConfig {
  /** gelu_new is GPT-2's tanh approximation, gelu the exact form used by nanoGPT, relu that of the original Transformer. */
  readonly activation: Activation;
  /** F: hidden channels of the MLP; default 4C, as in GPT-2. */
  readonly nInner?: number | undefined;
  /** learned in GPT-2, fixed sine waves in the original Transformer. */
  readonly positions: 'learned' | 'sinusoidal';
  /** LayerNorm before each sublayer (GPT-2) or after each residual addition (original Transformer). */
  readonly norm: 'pre' | 'post';
  /** ε in 1/√(variance + ε). */
  readonly layerNormEpsilon: number;
}

export const fields = {
  activation: {
    value: choice(activations),
    default: 'gelu_new',
    placeholder: 'name',
    help: 'gelu_new, gelu (exact) or relu',
  },
  nInner: innerWidth,
  positions: {
    value: choice(['learned', 'sinusoidal']),
    default: 'learned',
    placeholder: 'kind',
    help: 'learned or sinusoidal',
  },
  norm: {
    value: choice(['pre', 'post']),
    default: 'pre',
    placeholder: 'where',
    help: 'LayerNorm pre or post',
  },
  layerNormEpsilon: {
    value: number({ above: 0, below: 1 }),
    default: 1e-5,
    placeholder: 'x',
    help: 'ε under the root of LayerNorm',
    hasFlag: false,
  },
} as const satisfies Record<Exclude<keyof Gpt2Config, keyof ModelConfig>, ConfigField>;

/** GPT-2's settings except its size. */
export const gpt2Defaults = {
  arch: 'gpt2',
  tieWordEmbeddings: true,
  activation: fields.activation.default,
  positions: fields.positions.default,
  norm: fields.norm.default,
  layerNormEpsilon: fields.layerNormEpsilon.default,
} as const satisfies Partial<Gpt2Config>;

export const mlpWidth = ({ nInner, nEmbd }: Gpt2Config): number => nInner ?? 4 * nEmbd;

export const complete = (config: Gpt2Config): Gpt2Config => ({ ...config, nInner: mlpWidth(config) });
