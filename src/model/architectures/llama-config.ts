/** The config of the Llama family: its fields, derived values and checks. */
import type { Rotation } from '../../autodiff/ops/rotary.ts';
import { UsageError } from '../../errors.ts';
import { optionName } from '../../messages.ts';
import { number, trueOrFalse, wholeNumber } from '../../values.ts';
import type { ConfigField } from '../architecture.ts';
import { checkHeads, type ModelConfig } from '../config.ts';
import { innerWidth } from './inner-width.ts';
import { ropeScalingValue, rotationOf, type RopeScaling } from './rope-scaling.ts';

export interface LlamaConfig extends ModelConfig {
  /** G: key/value heads, each shared by H/G query heads; default H. */
  readonly nKvHead?: number | undefined;
  /** D: channels per head; default C/H. */
  readonly headSize?: number | undefined;
  /** F: hidden channels of the MLP; default: see `mlpWidth`. */
  readonly nInner?: number | undefined;
  /** θ: channel pair i of a head rotates by θ^(−2i/D) radians per position. */
  readonly ropeTheta: number;
  /** ε under the root of RMSNorm. */
  readonly rmsNormEpsilon: number;
  /** Changes the frequencies, for long contexts. */
  readonly ropeScaling?: RopeScaling | undefined;
  /** The projections of attention have biases. */
  readonly attentionBias?: boolean | undefined;
  /** The projections of the MLP have biases. */
  readonly mlpBias?: boolean | undefined;
}

/** Fields that only imported models have. */
const ropeScaling = {
  value: ropeScalingValue,
  default: undefined,
  placeholder: 'object',
  help: 'scaled rotary positions',
  hasFlag: false,
} as const satisfies ConfigField;
const attentionBias = {
  value: trueOrFalse,
  default: undefined,
  placeholder: 'answer',
  help: 'biases in attention (llama, qwen3)',
  hasFlag: false,
} as const satisfies ConfigField;
const mlpBias = { ...attentionBias, help: 'biases in the MLP (llama)' } as const satisfies ConfigField;

export const fields = {
  nKvHead: {
    value: wholeNumber({ min: 1 }),
    default: undefined,
    placeholder: 'n',
    help: 'key/value heads (not gpt2)',
    defaultHelp: 'one per query head',
  },
  headSize: {
    value: wholeNumber({ min: 2 }),
    default: undefined,
    placeholder: 'n',
    help: 'channels per head (not gpt2)',
    defaultHelp: 'n-embd/n-head',
  },
  nInner: innerWidth,
  ropeTheta: {
    value: number({ above: 1 }),
    default: 10_000,
    placeholder: 'x',
    help: 'base of the rotary frequencies (not gpt2)',
  },
  rmsNormEpsilon: {
    value: number({ above: 0, below: 1 }),
    default: 1e-6,
    placeholder: 'x',
    help: 'ε under the root of RMSNorm',
    hasFlag: false,
  },
  ropeScaling,
} as const satisfies Partial<Record<Exclude<keyof LlamaConfig, keyof ModelConfig>, ConfigField>>;

/** Default settings of the family, except the size. */
export const llamaDefaults = {
  tieWordEmbeddings: false,
  ropeTheta: fields.ropeTheta.default,
  rmsNormEpsilon: fields.rmsNormEpsilon.default,
} as const satisfies Partial<LlamaConfig>;

/** The differences between members of the family. */
export interface FamilyMember {
  readonly name: string;
  /** The class of `transformers`. */
  readonly class: string;
  /** QK-norm: queries and keys are normalized per head, with weights [D], before rotation. */
  readonly hasQkNorm: boolean;
  /** Queries, keys and values always have biases. */
  readonly hasQkvBias: boolean;
  /** Config fields for biases that the class has. */
  readonly biasFields: readonly ('attentionBias' | 'mlpBias')[];
  /** llama.cpp rotates neighboring channels, not halves of a head; see llama-gguf.ts. */
  readonly rotatesNeighborsInGguf: boolean;
  /** Defaults of "num_key_value_heads", "head_dim" and "sliding_window" in config.json. */
  readonly configDefaults: {
    readonly keyValueHeads?: number;
    readonly headDim?: number;
    readonly slidingWindow?: number;
  };
  /** Fields of config.json that only this class has, as they are written. */
  readonly ownFields: Readonly<Record<string, unknown>>;
}

/** The config fields of a member. */
export const fieldsOf = ({ biasFields }: FamilyMember): Readonly<Record<string, ConfigField>> => ({
  ...fields,
  ...Object.fromEntries(biasFields.map((name) => [name, { attentionBias, mlpBias }[name]])),
});

/** Whether a linear layer has a bias. @param layer name within the block: `self_attn.q_proj` */
export function hasBias({ hasQkvBias }: FamilyMember, config: LlamaConfig, layer: string): boolean {
  if (layer.startsWith('mlp.')) return config.mlpBias === true;
  return config.attentionBias === true || (hasQkvBias && layer !== 'self_attn.o_proj');
}

/** Three matrices 2/3 as wide as GPT-2's two make an MLP of equal size; rounded up to whole SIMD panels. */
export const mlpWidth = ({ nInner, nEmbd }: LlamaConfig): number =>
  nInner ?? Math.ceil((8 * nEmbd) / 3 / 32) * 32;

export const keyValueHeads = ({ nKvHead, nHead }: LlamaConfig): number => nKvHead ?? nHead;
export const headSizeOf = ({ headSize, nEmbd, nHead }: LlamaConfig): number => headSize ?? nEmbd / nHead;
export const rotation = (config: LlamaConfig): Rotation =>
  rotationOf(headSizeOf(config), config.ropeTheta, config.ropeScaling);

export const complete = ({ biasFields }: FamilyMember, config: LlamaConfig): LlamaConfig => ({
  ...config,
  ...Object.fromEntries(biasFields.map((name) => [name, config[name] ?? false])),
  nKvHead: keyValueHeads(config),
  headSize: headSizeOf(config),
  nInner: mlpWidth(config),
});

/** @throws UsageError unless the head counts divide the channels and each other, and heads have an even width */
export function check(config: LlamaConfig): void {
  if (config.headSize === undefined) checkHeads(config);
  const [H, G, D] = [config.nHead, keyValueHeads(config), headSizeOf(config)];
  if (H % G !== 0)
    throw new UsageError(
      'bad-option-value',
      `${optionName('nKvHead')} ${G} does not divide ${optionName('nHead')} ${H}`,
      {
        hint: 'each key/value head is read by the same number of query heads',
      },
    );
  if (D % 2 !== 0)
    throw new UsageError(
      'bad-option-value',
      `a head has ${D} channels (${optionName('headSize')}); rotary positions need an even number`,
      {
        hint: `change ${optionName('nHead')}, ${optionName('nEmbd')} or ${optionName('headSize')}`,
      },
    );
}
