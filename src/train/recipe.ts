import type { PresetName } from '../model/config.ts';

/** How long and how fast a preset is trained unless flags say otherwise. */
export interface Recipe {
  readonly maxIters: number;
  readonly learningRate: number;
  readonly beta2: number;
  readonly warmupIters: number;
}

/**
 * nanoGPT's settings: `nano` and `baby` from config/train_shakespeare_char.py and its README's advice for CPUs, the others
 * from config/train_gpt2.py, with the learning rates of GPT-3's table 2.1 for the larger ones (Brown et al. 2020). The
 * second moment's β₂ is 0.99 for small models, whose batches hold few tokens.
 */
export const recipes: { readonly [P in PresetName]: Recipe } = {
  nano: { maxIters: 2000, learningRate: 1e-3, beta2: 0.99, warmupIters: 100 },
  baby: { maxIters: 5000, learningRate: 1e-3, beta2: 0.99, warmupIters: 100 },
  gpt2: { maxIters: 600_000, learningRate: 6e-4, beta2: 0.95, warmupIters: 2000 },
  'gpt2-medium': { maxIters: 600_000, learningRate: 3e-4, beta2: 0.95, warmupIters: 2000 },
  'gpt2-large': { maxIters: 600_000, learningRate: 2.5e-4, beta2: 0.95, warmupIters: 2000 },
  'gpt2-xl': { maxIters: 600_000, learningRate: 2e-4, beta2: 0.95, warmupIters: 2000 },
};

/**
 * The preset for a corpus whose owner named none. A model learns little from text it has seen dozens of times: nano's 0.8
 * million parameters suit up to some ten million tokens, baby's eleven million more than that.
 */
export const presetFor = (trainTokens: number): PresetName => (trainTokens < 10_000_000 ? 'nano' : 'baby');
