/**
 * config.json and its companions, as Hugging Face's `transformers` writes and reads them for GPT-2. A model of GPT-2's
 * architecture is theirs without conversion; one they have no class for (post-LN) says so in its model_type, so that
 * `transformers` refuses it instead of computing something else.
 */
import { UserError } from '../errors.ts';
import { checkConfig, type ModelConfig } from '../model/config.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

const OWN_MODEL_TYPE = 'gpt-trainer';

/** What these files say about the tokenizer. */
type TokenizerFacts = Pick<Tokenizer, 'unkId' | 'endOfTextId' | 'vocabulary'>;

/** The content of config.json. */
export function toConfigJson(config: ModelConfig, tokenizer: TokenizerFacts): Record<string, unknown> {
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
    n_inner: null,
    activation_function: config.activation,
    resid_pdrop: config.dropout,
    embd_pdrop: config.dropout,
    attn_pdrop: config.dropout,
    layer_norm_epsilon: config.layerNormEpsilon,
    initializer_range: 0.02,
    scale_attn_weights: true,
    tie_word_embeddings: true,
    use_cache: true,
    ...boundaryIds(tokenizer),
    torch_dtype: 'float32',
    // Ours; transformers passes them over. The positions' table is saved either way.
    position_embedding: config.positions,
    norm_position: config.norm,
  };
}

/** `<|endoftext|>` both begins and ends a text, as in GPT-2. Where there is none it has to be said: 50256 is the default. */
const boundaryIds = ({ endOfTextId = null }: { readonly endOfTextId?: number | null | undefined }) => ({
  bos_token_id: endOfTextId,
  eos_token_id: endOfTextId,
});

export function toTokenizerConfigJson(
  config: ModelConfig,
  { unkId, endOfTextId, vocabulary }: TokenizerFacts,
): Record<string, unknown> {
  return {
    tokenizer_class: 'PreTrainedTokenizerFast',
    ...(unkId !== undefined && { unk_token: vocabulary[unkId] }),
    ...(endOfTextId !== undefined && {
      bos_token: vocabulary[endOfTextId],
      eos_token: vocabulary[endOfTextId],
    }),
    model_max_length: config.blockSize,
    clean_up_tokenization_spaces: false,
  };
}

export const toGenerationConfigJson = (tokenizer: TokenizerFacts) => ({
  do_sample: true,
  max_new_tokens: 200,
  ...(tokenizer.endOfTextId !== undefined && boundaryIds(tokenizer)),
});

/**
 * Reads config.json, GPT-2's from Hugging Face included.
 *
 * @throws UserError that names the field, if the model is one this program cannot compute
 */
export function fromConfigJson(text: string, file: string): ModelConfig {
  const fail = (message: string): never => {
    throw new UserError(`${file}: ${message}`, { hint: 'models of GPT-2’s architecture can be read' });
  };
  const json = parse(text, fail);
  const expect = (field: string, wanted: readonly unknown[]): void => {
    const value = json[field] ?? wanted[0];
    if (!wanted.includes(value))
      fail(
        `"${field}" is ${JSON.stringify(value)}; supported: ${wanted.map((w) => JSON.stringify(w)).join(', ')}`,
      );
  };
  expect('model_type', ['gpt2', OWN_MODEL_TYPE]);
  expect('activation_function', ['gelu_new', 'relu']);
  expect('position_embedding', ['learned', 'sinusoidal']);
  expect('norm_position', ['pre', 'post']);
  expect('scale_attn_weights', [true]);
  expect('scale_attn_by_inverse_layer_idx', [false]);
  expect('reorder_and_upcast_attn', [false]);
  expect('add_cross_attention', [false]);
  expect('tie_word_embeddings', [true]);
  if (
    json['n_inner'] !== undefined &&
    json['n_inner'] !== null &&
    json['n_inner'] !== 4 * Number(json['n_embd'])
  )
    fail(`"n_inner" is ${JSON.stringify(json['n_inner'])}; only 4 · n_embd is supported`);

  const number = (field: string, ...fallback: readonly number[]): number => {
    const value = json[field] ?? fallback[0];
    if (typeof value !== 'number')
      return fail(`"${field}" is ${JSON.stringify(value) ?? 'missing'}, not a number`);
    return value;
  };
  const config: ModelConfig = {
    vocabSize: number('vocab_size'),
    blockSize: number('n_positions'),
    nLayer: number('n_layer'),
    nHead: number('n_head'),
    nEmbd: number('n_embd'),
    dropout: number('resid_pdrop', 0),
    layerNormEpsilon: number('layer_norm_epsilon', 1e-5),
    activation: (json['activation_function'] ?? 'gelu_new') as ModelConfig['activation'],
    positions: (json['position_embedding'] ?? 'learned') as ModelConfig['positions'],
    norm: (json['norm_position'] ?? 'pre') as ModelConfig['norm'],
  };
  if ((config.norm === 'post') !== (json['model_type'] === OWN_MODEL_TYPE))
    fail(`"model_type" is ${JSON.stringify(json['model_type'])}, but "norm_position" is "${config.norm}"`);
  try {
    return checkConfig(config);
  } catch (error) {
    if (error instanceof UserError) fail(error.message);
    throw error;
  }
}

function parse(text: string, fail: (message: string) => never): Record<string, unknown> {
  try {
    const json: unknown = JSON.parse(text);
    if (typeof json === 'object' && json !== null && !Array.isArray(json))
      return json as Record<string, unknown>;
  } catch {
    // the same complaint as for JSON that is no object
  }
  return fail('is not a JSON object');
}

const PREFIX = 'transformer.';

/** Our name of a tensor (GPT-2's own) under `transformers`' class with a language-model head, and back. */
export const toTensorName = (name: string): string => PREFIX + name;
export const fromTensorName = (name: string): string =>
  name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name;

/** Tensors of other writers that hold no parameters: causal masks, saved as buffers. */
export const isBuffer = (name: string): boolean => /\.attn\.(bias|masked_bias)$/.test(name);
