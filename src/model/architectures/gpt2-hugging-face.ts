/** GPT-2 as a Hugging Face folder. */
import type { DescribedModel, HuggingFaceFormat } from '../architecture.ts';
import type { ConfigReader } from '../config-reader.ts';
import { INITIALIZER_RANGE } from '../parameter.ts';
import { readCommonFields } from './common-fields.ts';
import { gpt2Defaults, mlpWidth, type Activation, type Gpt2Config } from './gpt2-config.ts';

/** The output head, the only tensor without the prefix in the class with a language-model head. */
export const HEAD = 'lm_head.weight';

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

export const huggingFace: HuggingFaceFormat<Gpt2Config> = {
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
  head: HEAD,
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
