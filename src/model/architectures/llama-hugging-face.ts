/** Models of the Llama family as Hugging Face folders. */
import type { DescribedModel, HuggingFaceFormat } from '../architecture.ts';
import type { ConfigReader } from '../config-reader.ts';
import { INITIALIZER_RANGE } from '../parameter.ts';
import { readCommonFields } from './common-fields.ts';
import {
  fields,
  headSizeOf,
  keyValueHeads,
  llamaDefaults,
  mlpWidth,
  type FamilyMember,
  type LlamaConfig,
} from './llama-config.ts';

/** The output head, the only tensor without the prefix in the class with a language-model head. */
export const HEAD = 'lm_head.weight';
const PREFIX = 'model.';

export const huggingFaceFormat = (member: FamilyMember): HuggingFaceFormat<LlamaConfig> => ({
  modelTypes: [member.name],
  configNames,
  toConfigJson: (config) => toConfigJson(member, config),
  toOwnFields: () => ({}),
  factFields: [
    'num_attention_heads',
    'num_key_value_heads',
    'head_dim',
    'hidden_act',
    'rms_norm_eps',
    'rope_theta',
  ],
  fromConfigJson: (json) => fromConfigJson(member, json),
  toTensorName: (name) => (name === HEAD ? name : PREFIX + name),
  fromTensorName: (name) => (name.startsWith(PREFIX) ? name.slice(PREFIX.length) : name),
  head: HEAD,
  isBuffer: (name) => name.endsWith('.rotary_emb.inv_freq'),
});

const configNames = {
  vocabSize: 'vocab_size',
  blockSize: 'max_position_embeddings',
  nEmbd: 'hidden_size',
  nInner: 'intermediate_size',
  nLayer: 'num_hidden_layers',
  nHead: 'num_attention_heads',
  nKvHead: 'num_key_value_heads',
  headSize: 'head_dim',
  rmsNormEpsilon: 'rms_norm_eps',
  ropeTheta: 'rope_theta',
  dropout: 'attention_dropout',
  tieWordEmbeddings: 'tie_word_embeddings',
} as const;

/** transformers 4 and llama.cpp read θ from "rope_theta", transformers 5 from "rope_parameters". */
const toConfigJson = (member: FamilyMember, config: LlamaConfig): Record<string, unknown> => ({
  architectures: [member.class],
  model_type: member.name,
  vocab_size: config.vocabSize,
  max_position_embeddings: config.blockSize,
  hidden_size: config.nEmbd,
  intermediate_size: mlpWidth(config),
  num_hidden_layers: config.nLayer,
  num_attention_heads: config.nHead,
  num_key_value_heads: keyValueHeads(config),
  head_dim: headSizeOf(config),
  hidden_act: 'silu',
  rms_norm_eps: config.rmsNormEpsilon,
  rope_theta: config.ropeTheta,
  rope_parameters: { rope_type: 'default', rope_theta: config.ropeTheta },
  attention_bias: false,
  mlp_bias: false,
  attention_dropout: config.dropout,
  initializer_range: INITIALIZER_RANGE,
  tie_word_embeddings: config.tieWordEmbeddings,
  use_cache: true,
});

/** Config options that change the function and are not implemented are rejected by name. */
function fromConfigJson(member: FamilyMember, json: ConfigReader): DescribedModel<LlamaConfig> {
  json.oneOf('hidden_act', ['silu', 'swish']);
  json.oneOf('attention_bias', [false]);
  json.oneOf('mlp_bias', [false]);
  json.oneOf('use_sliding_window', [false]);
  const optional = (field: string): number | undefined =>
    json.get(field) === undefined ? undefined : json.wholeNumber(field);
  const { configDefaults } = member;
  return {
    config: {
      arch: member.name,
      ...readCommonFields(json, configNames, llamaDefaults.tieWordEmbeddings),
      nInner: json.wholeNumber(configNames.nInner),
      ropeTheta: readTheta(json),
      rmsNormEpsilon: json.belowOne(configNames.rmsNormEpsilon, 1e-6),
      nKvHead: optional(configNames.nKvHead) ?? configDefaults.keyValueHeads,
      headSize: optional(configNames.headSize) ?? configDefaults.headDim,
    },
  };
}

/** θ is in "rope_parameters" (transformers 5) or "rope_theta" (transformers 4, with "rope_scaling" for extended contexts). */
function readTheta(json: ConfigReader): number {
  const parameters = json.get('rope_parameters');
  for (const [field, value] of [
    ['rope_parameters', parameters],
    ['rope_scaling', json.get('rope_scaling')],
  ] as const) {
    if (value === undefined) continue;
    const { rope_type: type = 'default', type: older = type } = Object(value) as Record<string, unknown>;
    if (typeof value !== 'object' || older !== 'default')
      json.fail(`"${field}" scales the rotary positions, which is not supported`);
  }
  const nested = (Object(parameters) as Record<string, unknown>)['rope_theta'];
  return (nested ?? json.get(configNames.ropeTheta) ?? fields.ropeTheta.default) as number; // checked with the whole config
}
