/**
 * GPT-2 (Radford et al. 2019), with variants from the original Transformer (Vaswani et al. 2017) as options:
 * post-LayerNorm, ReLU, sinusoidal positions.
 */
import { splitChannels, type Value } from '../../autodiff/graph.ts';
import { cachedAttention, type AttentionOperands } from '../../autodiff/ops/attention.ts';
import type { Tape } from '../../autodiff/tape.ts';
import type { Architecture, ForwardInputs, ForwardPass, ParameterLookup } from '../architecture.ts';
import { checkHeads } from '../config.ts';
import { constant, type Parameter, type ParameterRole, type Part, type Start } from '../parameter.ts';
import { complete, fields, gpt2Defaults, mlpWidth, type Activation, type Gpt2Config } from './gpt2-config.ts';
import { gguf } from './gpt2-gguf.ts';
import { HEAD, huggingFace } from './gpt2-hugging-face.ts';
import { initialWeights } from './initial-weights.ts';

export { gpt2Defaults, type Gpt2Config } from './gpt2-config.ts';

const zeros: Start = { init: constant(0) };
const ones: Start = { init: constant(1) };

/**
 * Weights are stored as [in,out] (Conv1D), so y = x·W + b. Weight decay applies to matrices only: embeddings and weights,
 * not biases or LayerNorm.
 */
function parameters(config: Gpt2Config): Parameter[] {
  const { nLayer: L, nEmbd: C, vocabSize: V, blockSize: T } = config;
  const F = mlpWidth(config);
  const { weight, projection, tokenEmbedding, positionEmbedding, head } = initialWeights(config);
  const table: Parameter[] = [];

  /** @param kind name of the parameter within its layer */
  const add = (
    kind: string,
    shape: number[],
    start: Start,
    role: ParameterRole,
    part: Part,
    layer?: number,
  ): void => {
    const isTrained = start.init.kind !== 'sinusoidal';
    table.push({
      name: layer === undefined ? kind : `h.${layer}.${kind}`,
      shape,
      ...start,
      role,
      part,
      ...(layer === undefined ? {} : { layer }),
      isTrained,
      isDecayed: isTrained && shape.length >= 2,
      kind,
    });
  };
  const linear = (name: string, from: number, to: number, start: Start, part: Part, layer: number): void => {
    add(`${name}.weight`, [from, to], start, 'linear weight', part, layer);
    add(`${name}.bias`, [to], zeros, 'vector', part, layer);
  };
  const layerNorm = (name: string, layer?: number): void => {
    add(`${name}.weight`, [C], ones, 'vector', 'LayerNorm', layer);
    add(`${name}.bias`, [C], zeros, 'vector', 'LayerNorm', layer);
  };

  add('wte.weight', [V, C], tokenEmbedding, 'token embedding', 'token embedding');
  const positions: Start =
    config.positions === 'learned' ? positionEmbedding : { init: { kind: 'sinusoidal' } };
  add('wpe.weight', [T, C], positions, 'position embedding', 'positions');
  for (let l = 0; l < L; l++) {
    layerNorm('ln_1', l);
    linear('attn.c_attn', C, 3 * C, weight, 'attention', l); // q, k and v concatenated
    linear('attn.c_proj', C, C, projection, 'attention', l);
    layerNorm('ln_2', l);
    linear('mlp.c_fc', C, F, weight, 'MLP', l);
    linear('mlp.c_proj', F, C, projection, 'MLP', l);
  }
  if (config.norm === 'pre') layerNorm('ln_f'); // post-LN blocks end normalized
  if (!config.tieWordEmbeddings) add(HEAD, [V, C], head, 'output head', 'output head');
  return table;
}

/** Op of each activation. */
const activationOps = { gelu_new: 'gelu', gelu: 'geluErf', relu: 'relu' } as const satisfies Record<
  Activation,
  string
>;

/** A stack of blocks that each add the outputs of attention and MLP to the residual stream x. */
function forward(t: Tape, config: Gpt2Config, p: ParameterLookup, inputs: ForwardInputs): ForwardPass {
  const { nLayer, nHead, nEmbd, norm, layerNormEpsilon } = config;
  const randomness = { rng: inputs.rng, probability: inputs.dropout };
  let sites = 0; // numbers the dropouts: each has its own random stream
  const dropout = (x: Value): Value => {
    const site = sites++;
    return inputs.dropout > 0 ? t.scope('dropout', () => t.dropout(x, randomness, site)) : x;
  };
  const linear = (x: Value, name: string): Value =>
    t.scope(name, () => t.linear(x, p(`${name}.weight`), p(`${name}.bias`), inputs));
  const layerNorm = (x: Value, name: string): Value =>
    t.scope(name, () => t.layerNorm(x, p(`${name}.weight`), p(`${name}.bias`), layerNormEpsilon));

  const operands: AttentionOperands[] = []; // q, k and v of each layer, for `gpt inspect`
  const attention = (x: Value, l: number): Value => {
    const qkv = linear(x, `h.${l}.attn.c_attn`); // [B,T,3C]
    const [q, k, v] = splitChannels(qkv, 3); // each [B,T,C]
    operands.push({ q, k, v });
    const cache = inputs.caches?.[l];
    const y = t.scope(`h.${l}.attn`, () =>
      cache === undefined
        ? t.attention({ q, k, v, starts: inputs.starts }, nEmbd / nHead, randomness, sites++)
        : cachedAttention(t, { q, k, v }, inputs.positions, cache),
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
  const residuals = [x];
  for (let l = 0; l < nLayer; l++) {
    if (norm === 'pre') {
      x = residual(x, attention(layerNorm(x, `h.${l}.ln_1`), l), l);
      x = residual(x, mlp(layerNorm(x, `h.${l}.ln_2`), l), l);
    } else {
      // Vaswani et al. 2017, section 3.1: LayerNorm(x + Sublayer(x))
      x = layerNorm(residual(x, attention(x, l), l), `h.${l}.ln_1`);
      x = layerNorm(residual(x, mlp(x, l), l), `h.${l}.ln_2`);
    }
    residuals.push(x);
  }
  return { hidden: finalNorm(t, config, p, x), residuals, attention: operands };
}

/** LayerNorm before the output head; also applied to the residual stream of any layer by the logit lens. */
const finalNorm = (t: Tape, { norm, layerNormEpsilon }: Gpt2Config, p: ParameterLookup, x: Value): Value =>
  norm === 'pre'
    ? t.scope('ln_f', () => t.layerNorm(x, p('ln_f.weight'), p('ln_f.bias'), layerNormEpsilon))
    : x;

/** Logits [B,T,V]. */
const head = (t: Tape, { tieWordEmbeddings }: Gpt2Config, p: ParameterLookup, hidden: Value): Value =>
  t.scope('lm_head', () =>
    t.linear(hidden, p(tieWordEmbeddings ? 'wte.weight' : HEAD), null, { transposed: true }),
  );

const tiny: Gpt2Config = {
  ...gpt2Defaults,
  vocabSize: 11,
  blockSize: 6,
  nLayer: 2,
  nHead: 2,
  nEmbd: 8,
  dropout: 0.2,
};

export const gpt2: Architecture<Gpt2Config> = {
  name: gpt2Defaults.arch,
  fields,
  tieWordEmbeddings: gpt2Defaults.tieWordEmbeddings,
  initializationForMuon: 'gpt2',
  complete,
  check: checkHeads,
  isUnboundedInLength: ({ positions }) => positions === 'sinusoidal',
  describe: ({ positions, norm, activation }) => `${positions} positions, ${norm}-LayerNorm, ${activation}`,
  parameters,
  forward,
  finalNorm,
  head,
  cache: ({ nHead, nEmbd }) => ({ heads: nHead, headSize: nEmbd / nHead }),
  // Scores and weighted sums, forward and backward: 3 · 2 · 2·L·T·C, halved by the causal mask.
  attentionFlopsPerToken: ({ nLayer: L, blockSize: T, nEmbd: C }) => 6 * L * T * C,
  huggingFace,
  gguf,
  gradientExamples: [
    { name: 'GPT-2 architecture', config: tiny },
    { name: 'post-LN, ReLU', config: { ...tiny, norm: 'post', activation: 'relu' } },
    {
      name: 'exact GELU, untied head, narrow MLP',
      config: { ...tiny, activation: 'gelu', tieWordEmbeddings: false, nInner: 5, dropout: 0 },
    },
    { name: 'sinusoidal positions', config: { ...tiny, positions: 'sinusoidal', dropout: 0 } },
  ],
};
