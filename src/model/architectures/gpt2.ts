/**
 * GPT-2 (Radford et al. 2019), with variants from the original Transformer (Vaswani et al. 2017) as options:
 * post-LayerNorm, ReLU, sinusoidal positions.
 */
import { splitChannels, type Value } from '../../autodiff/graph.ts';
import { cachedAttention, type AttentionOperands } from '../../autodiff/ops/attention.ts';
import type { Tape } from '../../autodiff/tape.ts';
import { choice, number } from '../../values.ts';
import type {
  Architecture,
  ConfigField,
  DescribedModel,
  ForwardInputs,
  ForwardPass,
  HuggingFaceFormat,
  ParameterLookup,
} from '../architecture.ts';
import type { ConfigReader } from '../config-reader.ts';
import { checkHeads, type ModelConfig } from '../config.ts';
import {
  constant,
  INITIALIZER_RANGE,
  type Parameter,
  type ParameterRole,
  type Part,
  type Start,
} from '../parameter.ts';
import { readCommonFields } from './common-fields.ts';
import { initialWeights } from './initial-weights.ts';
import { innerWidth } from './inner-width.ts';

const activations = ['gelu_new', 'gelu', 'relu'] as const;
type Activation = (typeof activations)[number];

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

const fields = {
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

const zeros: Start = { init: constant(0) };
const ones: Start = { init: constant(1) };

const mlpWidth = ({ nInner, nEmbd }: Gpt2Config): number => nInner ?? 4 * nEmbd;

const complete = (config: Gpt2Config): Gpt2Config => ({ ...config, nInner: mlpWidth(config) });

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

const HEAD = 'lm_head.weight';

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
        ? t.attention({ q, k, v }, nEmbd / nHead, randomness, sites++)
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

/** Activation by its name in `transformers`, which has several names for one function. */
const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  gelu_new: 'gelu_new',
  gelu_pytorch_tanh: 'gelu_new',
  gelu_python_tanh: 'gelu_new',
  gelu_fast: 'gelu_new',
  gelu_accurate: 'gelu_new',
  gelu: 'gelu',
  gelu_python: 'gelu',
  relu: 'relu',
};

/**
 * `transformers` has no class for post-LN models. A separate model_type makes it reject them instead of computing something
 * else.
 */
const POST_NORM = { modelType: 'gpt-trainer', class: 'PostNormGPT' };
const PREFIX = 'transformer.';

const configNames = {
  vocabSize: 'vocab_size',
  blockSize: 'n_positions',
  nLayer: 'n_layer',
  nHead: 'n_head',
  nEmbd: 'n_embd',
  nInner: 'n_inner',
  dropout: 'resid_pdrop',
  activation: 'activation_function',
  layerNormEpsilon: 'layer_norm_epsilon',
  positions: 'position_embedding',
  norm: 'norm_position',
  tieWordEmbeddings: 'tie_word_embeddings',
} as const;

const huggingFace: HuggingFaceFormat<Gpt2Config> = {
  modelTypes: ['gpt2', POST_NORM.modelType],
  configNames,
  toConfigJson: (config) => ({
    architectures: [config.norm === 'pre' ? 'GPT2LMHeadModel' : POST_NORM.class],
    model_type: config.norm === 'pre' ? 'gpt2' : POST_NORM.modelType,
    vocab_size: config.vocabSize,
    n_positions: config.blockSize,
    n_ctx: config.blockSize,
    n_embd: config.nEmbd,
    n_layer: config.nLayer,
    n_head: config.nHead,
    n_inner: mlpWidth(config) === 4 * config.nEmbd ? null : mlpWidth(config), // null: 4·n_embd
    activation_function: config.activation,
    resid_pdrop: config.dropout,
    embd_pdrop: config.dropout,
    attn_pdrop: config.dropout,
    layer_norm_epsilon: config.layerNormEpsilon,
    initializer_range: INITIALIZER_RANGE,
    scale_attn_weights: true,
    tie_word_embeddings: config.tieWordEmbeddings,
    use_cache: true,
  }),
  toOwnFields: ({ positions, norm }) => ({ position_embedding: positions, norm_position: norm }), // the position table is stored in either case
  factFields: ['n_head', 'activation_function', 'layer_norm_epsilon', 'position_embedding', 'norm_position'],
  fromConfigJson,
  toTensorName: (name) => (name === HEAD ? name : PREFIX + name),
  fromTensorName: (name) => (name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name),
  isBuffer: (name) => /\.attn\.(bias|masked_bias)$/.test(name), // causal masks
};

/** Accepts options of `GPT2Config` that compute the same function in a different way. */
function fromConfigJson(json: ConfigReader): DescribedModel<Gpt2Config> {
  const activation = ACTIVATIONS[json.oneOf(configNames.activation, Object.keys(ACTIVATIONS))];
  const positions = json.oneOf(configNames.positions, ['learned', 'sinusoidal'] as const);
  const norm = json.oneOf(configNames.norm, ['pre', 'post'] as const);
  const isScaled = json.oneOf('scale_attn_weights', [true, false]);
  const isScaledByLayer = json.oneOf('scale_attn_by_inverse_layer_idx', [false, true]);
  json.oneOf('reorder_and_upcast_attn', [false, true]); // only changes the order of operations, that is rounding
  json.oneOf('add_cross_attention', [false]);
  const config: Gpt2Config = {
    arch: gpt2Defaults.arch,
    ...readCommonFields(json, configNames, gpt2Defaults.tieWordEmbeddings),
    layerNormEpsilon: json.belowOne(configNames.layerNormEpsilon, 1e-5),
    activation,
    positions,
    norm,
    nInner: json.get(configNames.nInner) === undefined ? undefined : json.wholeNumber(configNames.nInner),
  };
  const modelType = json.get('model_type') ?? 'gpt2';
  if ((norm === 'post') !== (modelType === POST_NORM.modelType))
    json.fail(`"model_type" is ${JSON.stringify(modelType)}, but "norm_position" is "${norm}"`);

  // Scores are always scaled by 1/√D; another scale is folded into the queries.
  const unscaled = isScaled ? 1 : Math.sqrt(config.nEmbd / config.nHead);
  return {
    config,
    conversionOf({ kind, layer = 0 }) {
      const factor = isScaledByLayer ? unscaled / (layer + 1) : unscaled;
      if (factor === 1 || !kind.startsWith('attn.c_attn.')) return undefined;
      return (data) => scaleQueries(data, config.nEmbd, factor);
    },
  };
}

/** Scales the q columns of [q | k | v], in c_attn's weight [C,3C] or bias [3C]. */
function scaleQueries(data: Float32Array, C: number, factor: number): void {
  for (let row = 0; row < data.length; row += 3 * C) for (let c = 0; c < C; c++) data[row + c] *= factor;
}

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
  gradientExamples: [
    { name: 'GPT-2 architecture', config: tiny },
    { name: 'post-LN, ReLU', config: { ...tiny, norm: 'post', activation: 'relu' } },
    {
      name: 'exact GELU, a head of its own, a narrow MLP',
      config: { ...tiny, activation: 'gelu', tieWordEmbeddings: false, nInner: 5, dropout: 0 },
    },
    { name: 'sinusoidal positions', config: { ...tiny, positions: 'sinusoidal', dropout: 0 } },
  ],
};
