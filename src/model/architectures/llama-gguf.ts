/** The Llama family in GGUF files, for llama.cpp (src/models/llama.cpp, qwen2.cpp and qwen3.cpp there). */
import { UserError } from '../../errors.ts';
import { shownJson } from '../../json.ts';
import type { GgufFormat } from '../architecture.ts';
import type { Parameter } from '../parameter.ts';
import {
  headSizeOf,
  keyValueHeads,
  mlpWidth,
  rotation,
  type FamilyMember,
  type LlamaConfig,
} from './llama-config.ts';
import { HEAD } from './llama-hugging-face.ts';
import { attentionFactor, type RopeScaling } from './rope-scaling.ts';

/** Parts of tensor names outside and inside of blocks; `.weight` and `.bias` follow. */
const names: Readonly<Record<string, string>> = {
  embed_tokens: 'token_embd',
  norm: 'output_norm',
  [HEAD.replace('.weight', '')]: 'output',
  input_layernorm: 'attn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'self_attn.o_proj': 'attn_output',
  post_attention_layernorm: 'ffn_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

export const ggufFormat = (member: FamilyMember): GgufFormat<LlamaConfig> => ({
  architecture: isLlama(member) ? 'llama' : member.name,
  check: (config) => check(member, config),
  integers: (config) => ({
    context_length: config.blockSize,
    embedding_length: config.nEmbd,
    block_count: config.nLayer,
    feed_forward_length: mlpWidth(config),
    'attention.head_count': config.nHead,
    'attention.head_count_kv': keyValueHeads(config),
    'attention.key_length': headSizeOf(config),
    'attention.value_length': headSizeOf(config),
    'rope.dimension_count': headSizeOf(config),
    vocab_size: config.vocabSize,
    ...(config.ropeScaling?.rope_type === 'yarn' && {
      'rope.scaling.original_context_length': config.ropeScaling.original_max_position_embeddings,
    }),
  }),
  floats: ({ rmsNormEpsilon, ropeTheta, ropeScaling }) => ({
    'attention.layer_norm_rms_epsilon': rmsNormEpsilon,
    'rope.freq_base': ropeTheta,
    ...(ropeScaling !== undefined && !isLlama3(ropeScaling) && { 'rope.scaling.factor': ropeScaling.factor }),
  }),
  strings: ({ ropeScaling }) =>
    ropeScaling === undefined || isLlama3(ropeScaling) ? {} : { 'rope.scaling.type': ropeScaling.rope_type },
  vectors: (config) =>
    isLlama3(config.ropeScaling) ? { 'rope_freqs.weight': frequencyDivisors(config) } : {},
  tensorName({ kind, layer }) {
    const [, part, end] = /^(.*)(\.weight|\.bias)$/.exec(kind)!;
    return `${layer === undefined ? '' : `blk.${layer}.`}${names[part]}${end}`;
  },
  ...(member.rotatesNeighborsInGguf && {
    rowOrder: (config: LlamaConfig, { kind, shape: [rows] }: Parameter) =>
      /^self_attn\.[qk]_proj\./.test(kind) ? neighboringPairs(rows, headSizeOf(config)) : undefined,
  }),
});

/** llama.cpp has one architecture for Llama and Mistral. */
const isLlama = ({ rotatesNeighborsInGguf }: FamilyMember): boolean => rotatesNeighborsInGguf;

const isLlama3 = (scaling: RopeScaling | undefined): boolean => scaling?.rope_type === 'llama3';

/** @throws UserError naming a field that llama.cpp ignores, so that it would compute something else */
function check(member: FamilyMember, { attentionBias, ropeScaling: scaling }: LlamaConfig): void {
  const refuse = (field: string, value: unknown): never => {
    throw new UserError(
      'unsupported-format',
      `llama.cpp does not compute a ${member.name} model with "${field}" ${shownJson(value)}`,
      { hint: 'such a model runs in gpt and transformers only' },
    );
  };
  if (attentionBias === true && !isLlama(member)) refuse('attention_bias', true);
  if (isLlama3(scaling) && !isLlama(member)) refuse('rope_type', 'llama3');
  if (scaling?.rope_type !== 'yarn') return;
  const { factor, original_max_position_embeddings } = scaling;
  const usual = attentionFactor({ rope_type: 'yarn', factor, original_max_position_embeddings });
  const actual = attentionFactor(scaling);
  if (Math.abs(actual - usual) > 1e-6) refuse('attention_factor', actual);
  for (const [field, value] of Object.entries({ beta_fast: 32, beta_slow: 1, truncate: true } as const))
    if ((scaling[field as 'truncate'] ?? value) !== value) refuse(field, scaling[field as 'truncate']);
}

/** The divisor of each frequency. */
function frequencyDivisors(config: LlamaConfig): Float32Array {
  const usual = rotation({ ...config, ropeScaling: undefined }).frequencies;
  return rotation(config).frequencies.map((scaled, i) => usual[i] / scaled);
}

/**
 * transformers rotates channel i of a head together with channel i + D/2, llama.cpp's "llama" channel 2i together with
 * 2i + 1, as Meta's files have them. Rows of the query and key weights, and their biases, are therefore interleaved within each
 * head.
 */
function neighboringPairs(rows: number, D: number): Uint32Array {
  return Uint32Array.from({ length: rows }, (_, row) => {
    const i = row % D;
    return row - i + (i % 2) * (D / 2) + Math.floor(i / 2);
  });
}
