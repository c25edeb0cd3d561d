/** Qwen2 and Qwen2.5 (Yang et al. 2024): Llama with biases in the projections to queries, keys and values. */
import { llamaLike } from './llama.ts';

export const qwen2 = llamaLike({
  name: 'qwen2',
  class: 'Qwen2ForCausalLM',
  hasQkNorm: false,
  hasQkvBias: true,
  biasFields: [],
  rotatesNeighborsInGguf: false,
  configDefaults: { keyValueHeads: 32 },
  ownFields: { use_sliding_window: false },
});
