import { mlpWidth, type ModelConfig } from './config.ts';

/** How a parameter starts: normal with mean 0 and this standard deviation, a constant, or the fixed sine table. */
export type Init =
  | { readonly kind: 'normal'; readonly std: number }
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'sinusoidal' };

export interface Parameter {
  /** GPT-2's name without the `transformer.` prefix: `h.0.attn.c_attn.weight`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly init: Init;
  /** Whether training changes it; the fixed sine table is the one that stays. */
  readonly trained: boolean;
}

export const elements = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Weight decay acts on matrices only: embeddings and weights, but no biases and no LayerNorm. */
export const isDecayed = (parameter: Parameter): boolean => parameter.trained && parameter.shape.length >= 2;

/** The output head's name where it is not tied to the token embedding. Like that it is [V,C]. */
export const HEAD = 'lm_head.weight';

/** The weight of a linear layer inside a block, [in, out]; the embeddings and the head are [V,C]. */
export const isLinearWeight = ({ name, shape }: Parameter): boolean =>
  name.startsWith('h.') && shape.length === 2;

/**
 * Every parameter of a model, in GPT-2's order. Weights are stored [in, out] (Conv1D), so y = x·W + b.
 *
 * Initialisation is GPT-2's: normal, std 0.02, and 0.02/√(2L) for the projections that end a residual branch, so that
 * the residual stream's variance does not grow with depth (Radford et al. 2019, section 2.3).
 */
export function parameterTable(config: ModelConfig): Parameter[] {
  const { nLayer: L, nEmbd: C, vocabSize: V, blockSize: T } = config;
  const F = mlpWidth(config);
  const weight: Init = { kind: 'normal', std: 0.02 };
  const residual: Init = { kind: 'normal', std: 0.02 / Math.sqrt(2 * L) };
  const zero: Init = { kind: 'constant', value: 0 };
  const one: Init = { kind: 'constant', value: 1 };
  const table: Parameter[] = [];
  const add = (name: string, shape: number[], init: Init, trained = true) =>
    table.push({ name, shape, init, trained });

  add('wte.weight', [V, C], weight); // also the output head, where the two are tied
  if (config.positions === 'learned') add('wpe.weight', [T, C], weight);
  else add('wpe.weight', [T, C], { kind: 'sinusoidal' }, false);
  for (let l = 0; l < L; l++) {
    add(`h.${l}.ln_1.weight`, [C], one);
    add(`h.${l}.ln_1.bias`, [C], zero);
    add(`h.${l}.attn.c_attn.weight`, [C, 3 * C], weight); // q, k and v side by side
    add(`h.${l}.attn.c_attn.bias`, [3 * C], zero);
    add(`h.${l}.attn.c_proj.weight`, [C, C], residual);
    add(`h.${l}.attn.c_proj.bias`, [C], zero);
    add(`h.${l}.ln_2.weight`, [C], one);
    add(`h.${l}.ln_2.bias`, [C], zero);
    add(`h.${l}.mlp.c_fc.weight`, [C, F], weight);
    add(`h.${l}.mlp.c_fc.bias`, [F], zero);
    add(`h.${l}.mlp.c_proj.weight`, [F, C], residual);
    add(`h.${l}.mlp.c_proj.bias`, [C], zero);
  }
  if (config.norm === 'pre') {
    add('ln_f.weight', [C], one); // post-LN ends every block normalised already
    add('ln_f.bias', [C], zero);
  }
  if (!config.tieWordEmbeddings) add(HEAD, [V, C], weight);
  return table;
}

/** The number of trained parameters. nanoGPT and papers often leave `wpe` out; this counts everything. */
export const countParameters = (config: ModelConfig): number =>
  parameterTable(config).reduce((sum, p) => sum + (p.trained ? elements(p.shape) : 0), 0);
