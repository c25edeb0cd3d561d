/**
 * Qwen3 (Yang et al. 2025): Llama with queries and keys normalized per head before rotation (QK-norm, Henry et al.
 * 2020), which bounds attention scores and so allows higher learning rates.
 */
import { llamaLike } from './llama.ts';

export const qwen3 = llamaLike({
  name: 'qwen3',
  class: 'Qwen3ForCausalLM',
  hasQkNorm: true,
  hasQkvBias: false,
  biasFields: ['attentionBias'],
  rotatesNeighborsInGguf: false,
  configDefaults: { keyValueHeads: 32, headDim: 128 },
  ownFields: { use_sliding_window: false },
});
