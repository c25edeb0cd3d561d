/** Mistral (Jiang et al. 2023) without sliding window: Llama under another name. */
import { llamaLike } from './llama.ts';

export const mistral = llamaLike({
  name: 'mistral',
  class: 'MistralForCausalLM',
  hasQkNorm: false,
  hasQkvBias: false,
  biasFields: [],
  rotatesNeighborsInGguf: true,
  configDefaults: { keyValueHeads: 8, slidingWindow: 4096 },
  ownFields: { sliding_window: null },
});
