/** GPT-2 in GGUF files, for llama.cpp (src/models/gpt2.cpp there). */
import { UserError } from '../../errors.ts';
import type { GgufFormat } from '../architecture.ts';
import { mlpWidth, type Gpt2Config } from './gpt2-config.ts';
import { HEAD } from './gpt2-hugging-face.ts';

/** Parts of tensor names outside and inside of blocks; `.weight` and `.bias` follow. */
const names: Readonly<Record<string, string>> = {
  wte: 'token_embd',
  wpe: 'position_embd',
  ln_f: 'output_norm',
  [HEAD.replace('.weight', '')]: 'output',
  ln_1: 'attn_norm',
  'attn.c_attn': 'attn_qkv',
  'attn.c_proj': 'attn_output',
  ln_2: 'ffn_norm',
  'mlp.c_fc': 'ffn_up',
  'mlp.c_proj': 'ffn_down',
};

export const gguf: GgufFormat<Gpt2Config> = {
  architecture: 'gpt2',
  check({ norm, activation }) {
    const hint = 'such a model runs in gpt only';
    if (norm !== 'pre')
      throw new UserError('unsupported-format', `llama.cpp has no GPT-2 with the norm "${norm}"`, { hint });
    if (activation !== 'gelu_new')
      throw new UserError(
        'unsupported-format',
        `llama.cpp computes GPT-2 with the activation "gelu_new"; this model has "${activation}"`,
        { hint },
      );
  },
  integers: (config) => ({
    context_length: config.blockSize,
    embedding_length: config.nEmbd,
    block_count: config.nLayer,
    feed_forward_length: mlpWidth(config),
    'attention.head_count': config.nHead,
  }),
  floats: ({ layerNormEpsilon }) => ({ 'attention.layer_norm_epsilon': layerNormEpsilon }),
  tensorName({ kind, layer }) {
    const [, part, end] = /^(.*)(\.weight|\.bias)$/.exec(kind)!;
    return `${layer === undefined ? '' : `blk.${layer}.`}${names[part]}${end}`;
  },
};
