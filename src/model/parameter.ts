/** A parameter as architectures describe it. */

/** How a parameter starts: normal with mean 0 and this standard deviation, a constant, or the fixed sine table. */
export type Init =
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'sinusoidal' };

/** The parts of a model that reports list. */
export const parts = [
  'token embedding',
  'positions',
  'attention',
  'MLP',
  'LayerNorm',
  'output head',
] as const;
export type Part = (typeof parts)[number];

/**
 * - `token embedding`: [V,C]; the output head too, where the two are tied
 * - `position embedding`: [T,C], a row for each position; a model with fewer positions uses the first of them
 * - `output head`: [V,C], of a model whose head is not the token embedding
 * - `linear weight`: [in,out] of a linear layer; decoding transposes it
 * - `vector`: anything else, such as a bias or the weight of a norm
 */
export type Role = 'token embedding' | 'position embedding' | 'output head' | 'linear weight' | 'vector';

export interface Parameter {
  /** As in Hugging Face's folders without the prefix of the class: `h.0.attn.c_attn.weight`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Init;
  readonly role: Role;
  readonly part: Part;
  /** The block that it belongs to, from 0; none for what is outside of the blocks. */
  readonly layer?: number;
  /** Whether training changes it. */
  readonly isTrained: boolean;
  readonly isDecayed: boolean;
  /**
   * The same for parameters that differ only in their layer. Files may leave out all parameters of a kind that start at
   * zero: a model without biases computes what one with zeros does.
   */
  readonly kind: string;
}
