/** Models of the Llama family as Hugging Face folders. */
import { shownJson } from '../../json.ts';
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
import { readRope } from './rope-scaling.ts';

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
    'rope_scaling',
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
  ropeScaling: 'rope_scaling',
  attentionBias: 'attention_bias',
  mlpBias: 'mlp_bias',
  dropout: 'attention_dropout',
  tieWordEmbeddings: 'tie_word_embeddings',
} as const;

/** transformers 4 and llama.cpp read "rope_theta" and "rope_scaling", transformers 5 "rope_parameters". */
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
  ...(config.ropeScaling && { rope_scaling: config.ropeScaling }),
  rope_parameters: { rope_type: 'default', rope_theta: config.ropeTheta, ...config.ropeScaling },
  ...Object.fromEntries(member.biasFields.map((name) => [configNames[name], config[name] ?? false])),
  attention_dropout: config.dropout,
  initializer_range: INITIALIZER_RANGE,
  tie_word_embeddings: config.tieWordEmbeddings,
  use_cache: true,
  ...member.ownFields,
});

/** Config options that change the function and are not implemented are rejected by name. */
function fromConfigJson(member: FamilyMember, json: ConfigReader): DescribedModel<LlamaConfig> {
  json.oneOf('hidden_act', ['silu', 'swish']);
  const { keyValueHeads: defaultHeads, headDim } = member.configDefaults;
  const common = readCommonFields(json, configNames, llamaDefaults.tieWordEmbeddings);
  refuseWindows(member, json, common.blockSize);
  const { theta, scaling } = readRope(json, common.blockSize);
  return {
    config: {
      arch: member.name,
      ...common,
      nInner: json.wholeNumber(configNames.nInner),
      ropeTheta: (theta ?? fields.ropeTheta.default) as number, // checked with the whole config
      ropeScaling: scaling,
      rmsNormEpsilon: json.belowOne(configNames.rmsNormEpsilon, 1e-6),
      nKvHead: json.optionalWholeNumber(configNames.nKvHead, defaultHeads),
      headSize: json.optionalWholeNumber(configNames.headSize, headDim),
      ...Object.fromEntries(
        member.biasFields.map((name) => [name, json.oneOf(configNames[name], [false, true])]),
      ),
    },
  };
}

/** Each position must attend to all before it. A window that is no smaller than the context has no effect. */
function refuseWindows({ configDefaults }: FamilyMember, json: ConfigReader, blockSize: number): void {
  json.oneOf('use_sliding_window', [false]);
  const types = json.get('layer_types');
  if (types !== undefined && !(Array.isArray(types) && types.every((type) => type === 'full_attention')))
    json.fail(`"layer_types" is ${shownJson(types)}; only "full_attention" is supported`);
  if (configDefaults.slidingWindow === undefined) return;
  const window = json.optionalWholeNumber('sliding_window', configDefaults.slidingWindow) ?? Infinity;
  if (window < blockSize)
    json.fail(
      `"sliding_window" is ${window}, below the "${configNames.blockSize}" of ${blockSize}: attention within a window is not supported`,
      `to use the model with a shorter context, set "${configNames.blockSize}" to ${window} there`,
    );
}
