import type { Value } from '../autodiff/graph.ts';
import { cachedAttention, type LayerCache } from '../autodiff/ops/attention.ts';
import type { Tape } from '../autodiff/tape.ts';
import type { Activation, ModelConfig } from './config.ts';
import { HEAD } from './parameters.ts';

/** The op of each activation. */
const activationOps = { gelu_new: 'gelu', gelu: 'geluErf', relu: 'relu' } as const satisfies Record<
  Activation,
  string
>;

/** Looks a parameter up by GPT-2's name. */
export type ParameterLookup = (name: string) => Value;

/** What one pass through the model reads, besides the parameters. */
export interface ForwardInputs {
  /** Token ids, int32 [B,T]. */
  readonly ids: Value;
  /** Each token's position in its context, int32 [B,T]. */
  readonly positions: Value;
  /** Dropout: the random state and how much of it. Probability 0 everywhere but in training. */
  readonly rng: Value;
  readonly dropout: number;
  /** Whether linear layers' weights lie [out,in], see `transposeWeights`. */
  readonly transposed?: boolean;
  /** Generation: one cache per layer. Without it every position attends within [B,T]. */
  readonly caches?: readonly LayerCache[];
}

/**
 * GPT-2 (Radford et al. 2019), from token ids to the last hidden state [B,T,C]: a stack of blocks, each of which reads
 * the residual stream x twice and adds what attention and the MLP make of it. Recorded once; nothing is computed here.
 */
export function gpt(t: Tape, config: ModelConfig, p: ParameterLookup, inputs: ForwardInputs): Value {
  const { nLayer, nHead, norm, layerNormEpsilon } = config;
  const randomness = { rng: inputs.rng, probability: inputs.dropout };
  let sites = 0; // every dropout draws from its own site
  const dropout = (x: Value): Value => {
    const site = sites++;
    return inputs.dropout > 0 ? t.scope('dropout', () => t.dropout(x, randomness, site)) : x;
  };
  const linear = (x: Value, name: string): Value =>
    t.scope(name, () => t.linear(x, p(`${name}.weight`), p(`${name}.bias`), inputs));
  const layerNorm = (x: Value, name: string): Value =>
    t.scope(name, () => t.layerNorm(x, p(`${name}.weight`), p(`${name}.bias`), layerNormEpsilon));

  const attention = (x: Value, l: number): Value => {
    const qkv = linear(x, `h.${l}.attn.c_attn`); // [B,T,3C]
    const cache = inputs.caches?.[l];
    const y = t.scope(`h.${l}.attn`, () =>
      cache === undefined
        ? t.attention(qkv, nHead, randomness, sites++)
        : cachedAttention(t, qkv, inputs.positions, cache),
    ); // [B,T,C]
    return dropout(linear(y, `h.${l}.attn.c_proj`)); // [B,T,C]
  };
  const mlp = (x: Value, l: number): Value => {
    const hidden = linear(x, `h.${l}.mlp.c_fc`); // [B,T,F], F = 4C by default
    const active = t.scope(`h.${l}.mlp`, () => t[activationOps[config.activation]](hidden));
    return dropout(linear(active, `h.${l}.mlp.c_proj`)); // [B,T,C]
  };
  const residual = (x: Value, y: Value, l: number): Value => t.scope(`h.${l}.residual`, () => t.add(x, y));

  let x = t.scope('embedding', () =>
    dropout(t.add(t.embedding(inputs.ids, p('wte.weight')), t.embedding(inputs.positions, p('wpe.weight')))),
  ); // [B,T,C]
  for (let l = 0; l < nLayer; l++) {
    if (norm === 'pre') {
      x = residual(x, attention(layerNorm(x, `h.${l}.ln_1`), l), l);
      x = residual(x, mlp(layerNorm(x, `h.${l}.ln_2`), l), l);
    } else {
      // Vaswani et al. 2017, section 3.1: LayerNorm(x + Sublayer(x))
      x = layerNorm(residual(x, attention(x, l), l), `h.${l}.ln_1`);
      x = layerNorm(residual(x, mlp(x, l), l), `h.${l}.ln_2`);
    }
  }
  return finalNorm(t, config, p, x);
}

/** What stands between the last block and the output head: a LayerNorm, where blocks do not end with one. */
export const finalNorm = (
  t: Tape,
  { norm, layerNormEpsilon }: ModelConfig,
  p: ParameterLookup,
  x: Value,
): Value =>
  norm === 'pre'
    ? t.scope('ln_f', () => t.layerNorm(x, p('ln_f.weight'), p('ln_f.bias'), layerNormEpsilon))
    : x;

/** The output head: how well each token of the vocabulary fits a hidden state. [...,C] → logits [...,V]. */
export const head = (
  t: Tape,
  { tieWordEmbeddings }: Pick<ModelConfig, 'tieWordEmbeddings'>,
  p: ParameterLookup,
  hidden: Value,
): Value =>
  t.scope('lm_head', () =>
    t.linear(hidden, p(tieWordEmbeddings ? 'wte.weight' : HEAD), null, { transposed: true }),
  );
