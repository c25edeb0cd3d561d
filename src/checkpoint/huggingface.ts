/**
 * config.json, as Hugging Face's `transformers` writes and reads it for GPT-2. Models of
 * GPT-2's architecture need no conversion in either direction; options that compute the same function under another name are
 * accepted. `transformers` has no class for post-LN models: they have a model_type of their own, so that it refuses them
 * instead of computing something else.
 */
import { UserError } from '../errors.ts';
import { parseJsonObject, shownJson } from '../json.ts';
import { MOST_LAYERS, type Activation, type ModelConfig } from '../model/config.ts';
import { HEAD } from '../model/parameters.ts';
import type { SpecialTokens } from '../tokenizer/tokenizer.ts';
import { boundaryIds } from './generation-config.ts';

const OWN_MODEL_TYPE = 'gpt-trainer';

/** Of config.json, where it holds more than GPT-2's. */
const FORMAT = 1;

/** The content of config.json. */
export function toConfigJson(
  config: ModelConfig,
  tokenizer: { readonly special: SpecialTokens },
): Record<string, unknown> {
  const isGpt2 = config.norm === 'pre';
  return {
    architectures: [isGpt2 ? 'GPT2LMHeadModel' : 'PostNormGPT'],
    model_type: isGpt2 ? 'gpt2' : OWN_MODEL_TYPE,
    vocab_size: config.vocabSize,
    n_positions: config.blockSize,
    n_ctx: config.blockSize,
    n_embd: config.nEmbd,
    n_layer: config.nLayer,
    n_head: config.nHead,
    n_inner: config.nInner ?? null,
    activation_function: config.activation,
    resid_pdrop: config.dropout,
    embd_pdrop: config.dropout,
    attn_pdrop: config.dropout,
    layer_norm_epsilon: config.layerNormEpsilon,
    initializer_range: 0.02,
    scale_attn_weights: true,
    tie_word_embeddings: config.tieWordEmbeddings,
    use_cache: true,
    ...boundaryIds(tokenizer),
    torch_dtype: 'float32',
    // Ours; transformers passes them over. The positions' table is saved either way.
    gpt_trainer_format: FORMAT,
    position_embedding: config.positions,
    norm_position: config.norm,
  };
}

/** `transformers`' names of activations that we compute; several are one function. */
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

/** A model as config.json describes it. */
export interface DescribedModel {
  readonly config: ModelConfig;
  /**
   * What the queries of a layer are to be multiplied by when the weights are read, so that attention scores, q·k/√D here, are
   * scaled as the model was trained. 1 in GPT-2.
   */
  readonly queryScale: (layer: number) => number;
}

/**
 * Reads config.json, GPT-2's from Hugging Face included.
 *
 * @throws UserError that names the field, if the model is one this program cannot compute
 */
export function fromConfigJson(text: string, file: string): DescribedModel {
  const fail = (message: string, hint = 'models of GPT-2’s architecture can be read'): never => {
    throw new UserError(`${file}: ${message}`, { hint });
  };
  const json = parseJsonObject(text, (what) => fail(what, 'the file is damaged; use another copy'));
  const format = json['gpt_trainer_format'] ?? FORMAT;
  if (typeof format === 'number' && format > FORMAT)
    fail(
      `is from a newer version of gpt (format ${format}; this one reads ${FORMAT})`,
      'update gpt to read it',
    );
  const expect = (field: string, wanted: readonly unknown[]): void => {
    const value = json[field] ?? wanted[0];
    if (!wanted.includes(value))
      fail(`"${field}" is ${shownJson(value)}; supported: ${wanted.map(shownJson).join(', ')}`);
  };
  expect('gpt_trainer_format', [FORMAT]);
  expect('model_type', ['gpt2', OWN_MODEL_TYPE]);
  expect('activation_function', Object.keys(ACTIVATIONS));
  expect('position_embedding', ['learned', 'sinusoidal']);
  expect('norm_position', ['pre', 'post']);
  expect('scale_attn_weights', [true, false]);
  expect('scale_attn_by_inverse_layer_idx', [false, true]);
  expect('reorder_and_upcast_attn', [false, true]); // the order of operations: the result is the same but for rounding
  expect('add_cross_attention', [false]);
  expect('tie_word_embeddings', [true, false]);

  const wholeNumber = (field: string): number => {
    const value = json[field];
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 1) return value;
    return fail(`"${field}" is ${shownJson(value)}, not a whole number of at least 1`);
  };
  const share = (field: string, fallback: number): number => {
    const value = json[field] ?? fallback;
    if (typeof value === 'number' && value >= 0 && value < 1) return value;
    return fail(`"${field}" is ${shownJson(value)}, not a number of at least 0 and below 1`);
  };
  const config: ModelConfig = {
    vocabSize: wholeNumber('vocab_size'),
    blockSize: wholeNumber('n_positions'),
    nLayer: wholeNumber('n_layer'),
    nHead: wholeNumber('n_head'),
    nEmbd: wholeNumber('n_embd'),
    dropout: share('resid_pdrop', 0),
    layerNormEpsilon: share('layer_norm_epsilon', 1e-5),
    activation: ACTIVATIONS[(json['activation_function'] ?? 'gelu_new') as string],
    tieWordEmbeddings: (json['tie_word_embeddings'] ?? true) as boolean,
    positions: (json['position_embedding'] ?? 'learned') as ModelConfig['positions'],
    norm: (json['norm_position'] ?? 'pre') as ModelConfig['norm'],
  };
  const { nHead, nEmbd, nLayer } = config;
  if (nLayer > MOST_LAYERS) fail(`"n_layer" is ${nLayer}; at most ${MOST_LAYERS} are supported`);
  if (nEmbd % nHead !== 0) fail(`"n_head" is ${nHead}, which does not divide "n_embd", ${nEmbd}`);
  if (config.layerNormEpsilon === 0) fail('"layer_norm_epsilon" is 0; it must be above 0');
  const inner = json['n_inner'] == null ? 4 * nEmbd : wholeNumber('n_inner');
  if ((config.norm === 'post') !== (json['model_type'] === OWN_MODEL_TYPE))
    fail(`"model_type" is ${shownJson(json['model_type'])}, but "norm_position" is "${config.norm}"`);
  const unscaled = json['scale_attn_weights'] === false ? Math.sqrt(nEmbd / nHead) : 1;
  const byLayer = json['scale_attn_by_inverse_layer_idx'] === true;
  return {
    config: inner === 4 * nEmbd ? config : { ...config, nInner: inner },
    queryScale: (layer) => (byLayer ? unscaled / (layer + 1) : unscaled),
  };
}

const PREFIX = 'transformer.';

/** Our name of a tensor (GPT-2's own) under `transformers`' class with a language-model head, and back. */
export const toTensorName = (name: string): string => (name === HEAD ? name : PREFIX + name);
export const fromTensorName = (name: string): string =>
  name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;

/** Tensors of other writers that hold no parameters: causal masks, saved as buffers. */
export const isBuffer = (name: string): boolean => /\.attn\.(bias|masked_bias)$/.test(name);
