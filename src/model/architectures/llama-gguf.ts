/** The Llama family as llama.cpp knows it (src/models/llama.cpp and qwen3.cpp there). */
import type { GgufFormat } from '../architecture.ts';
import type { Parameter } from '../parameter.ts';
import { headSizeOf, keyValueHeads, mlpWidth, type FamilyMember, type LlamaConfig } from './llama-config.ts';
import { HEAD } from './llama-hugging-face.ts';

const names: Readonly<Record<string, string>> = {
  'embed_tokens.weight': 'token_embd.weight',
  'norm.weight': 'output_norm.weight',
  [HEAD]: 'output.weight',
  'input_layernorm.weight': 'attn_norm.weight',
  'self_attn.q_proj.weight': 'attn_q.weight',
  'self_attn.k_proj.weight': 'attn_k.weight',
  'self_attn.v_proj.weight': 'attn_v.weight',
  'self_attn.q_norm.weight': 'attn_q_norm.weight',
  'self_attn.k_norm.weight': 'attn_k_norm.weight',
  'self_attn.o_proj.weight': 'attn_output.weight',
  'post_attention_layernorm.weight': 'ffn_norm.weight',
  'mlp.gate_proj.weight': 'ffn_gate.weight',
  'mlp.up_proj.weight': 'ffn_up.weight',
  'mlp.down_proj.weight': 'ffn_down.weight',
};

export const ggufFormat = (member: FamilyMember): GgufFormat<LlamaConfig> => ({
  architecture: member.name,
  check() {}, // llama.cpp has all that a config of the family can say
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
  }),
  floats: ({ rmsNormEpsilon, ropeTheta }) => ({
    'attention.layer_norm_rms_epsilon': rmsNormEpsilon,
    'rope.freq_base': ropeTheta,
  }),
  tensorName: ({ kind, layer }) => (layer === undefined ? '' : `blk.${layer}.`) + names[kind],
  ...(member.rotatesNeighborsInGguf && {
    rowOrder: (config: LlamaConfig, { kind, shape: [rows] }: Parameter) =>
      kind === 'self_attn.q_proj.weight' || kind === 'self_attn.k_proj.weight'
        ? neighboringPairs(rows, headSizeOf(config))
        : undefined,
  }),
});

/**
 * transformers rotates channel i of a head together with channel i + D/2, llama.cpp's "llama" channel 2i together with
 * 2i + 1, as Meta's files have them. Rows of the query and key weights are therefore interleaved within each head.
 */
function neighboringPairs(rows: number, D: number): Uint32Array {
  return Uint32Array.from({ length: rows }, (_, row) => {
    const i = row % D;
    return row - i + (i % 2) * (D / 2) + Math.floor(i / 2);
  });
}
