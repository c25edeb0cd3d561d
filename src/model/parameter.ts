/** Parameters as described by architectures. */

/**
 * Schemes of initial values: `gpt2`, GPT-2's standard deviation of 0.02, or `fan-in`, 1/√C with residual branches that start
 * at 0, which suits Muon, whose updates are equally large for all matrices.
 */
export const initializations = ['gpt2', 'fan-in'] as const;
export type Initialization = (typeof initializations)[number];

/** GPT-2's standard deviation; "initializer_range" in config.json. */
export const INITIALIZER_RANGE = 0.02;

/** Initialization: normal with mean 0, uniform in ±bound, a constant, or the fixed sine table. */
export type Init =
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'sinusoidal' };

export const normal = (std: number): Init => ({ kind: 'normal', std });
export const constant = (value: number): Init => ({ kind: 'constant', value });

/** Initial values under both schemes. */
export type Start = Pick<Parameter, 'init' | 'fanIn'>;

/** Parts of a model listed in reports. */
export const parts = [
  'token embedding',
  'positions',
  'attention',
  'MLP',
  'LayerNorm',
  'RMSNorm',
  'output head',
  'adapters',
] as const;
export type Part = (typeof parts)[number];

/**
 * - `token embedding`: [V,C]; also the output head if the two are tied
 * - `position embedding`: [T,C], one row per position; a shorter context uses the first rows
 * - `output head`: [V,C], if it is not tied to the token embedding
 * - `linear weight`: [in,out] of a linear layer; transposed for decoding
 * - `transposed linear weight`: [out,in] of a linear layer, the layout of torch.nn.Linear; used as it is for decoding
 * - `adapter`: [r,in] or [out,r], a factor of a low-rank adapter; see lora.ts
 * - `vector`: everything else, such as biases and norm weights
 */
export type ParameterRole =
  | 'token embedding'
  | 'position embedding'
  | 'output head'
  | 'linear weight'
  | 'transposed linear weight'
  | 'adapter'
  | 'vector';

export interface Parameter {
  /** Name as in Hugging Face's folders, without the prefix of the class: `h.0.attn.c_attn.weight`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Init;
  /** Initial values under the scheme `fan-in`, where they differ. */
  readonly fanIn?: Init;
  readonly role: ParameterRole;
  readonly part: Part;
  /** Index of its block, from 0; absent outside of blocks. */
  readonly layer?: number;
  readonly isTrained: boolean;
  readonly isDecayed: boolean;
  /**
   * Shared by parameters that differ only in their layer. Files may omit all parameters of a kind that is initialized to
   * zero: a model without biases computes the same as one with zero biases.
   */
  readonly kind: string;
}

/** The parameter is the matrix of a linear layer inside a block, in either layout. */
export const isLinearWeight = ({ role }: Parameter): boolean =>
  role === 'linear weight' || role === 'transposed linear weight';

/** The parameter is a matrix of a linear layer, the token embedding or the output head: most of a model. */
export const isWeightMatrix = (parameter: Parameter): boolean =>
  isLinearWeight(parameter) || parameter.role === 'token embedding' || parameter.role === 'output head';

/** Never trained: computed instead of learned. */
export const isFixed = ({ init }: Parameter): boolean => init.kind === 'sinusoidal';

/** A factor of a low-rank adapter. */
export const isAdapter = ({ role }: Parameter): boolean => role === 'adapter';
