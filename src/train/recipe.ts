import { presets, type PresetName } from '../model/config.ts';

/** Default length and hyperparameters of a preset's training. */
export interface Recipe {
  readonly maxIters: number;
  readonly learningRate: number;
  readonly beta2: number;
  readonly warmupIters: number;
}

/**
 * GPT-3 (Brown et al. 2020, appendix B): 300 billion tokens, with a warm-up of 375 million, in batches of `batchSize`
 * sequences of 2,048.
 */
const gpt3 = (learningRate: number, batchSize: number): Recipe => ({
  maxIters: Math.round(300e9 / (2048 * batchSize)),
  learningRate,
  beta2: 0.95,
  warmupIters: Math.round(375e6 / (2048 * batchSize)),
});

/**
 * `nano` and `baby` have nanoGPT's settings, from config/train_shakespeare_char.py and its README's advice for CPUs; `gpt2…`
 * those of config/train_gpt2.py, with the learning rates of GPT-3's table 2.1 for the larger ones; `gpt3…` that table's. β₂ is
 * 0.99 for small models, whose batches have few tokens.
 */
export const recipes: { readonly [P in PresetName]: Recipe } = {
  nano: { maxIters: 2000, learningRate: 1e-3, beta2: 0.99, warmupIters: 100 },
  baby: { maxIters: 5000, learningRate: 1e-3, beta2: 0.99, warmupIters: 100 },
  gpt2: { maxIters: 600_000, learningRate: 6e-4, beta2: 0.95, warmupIters: 2000 },
  'gpt2-medium': { maxIters: 600_000, learningRate: 3e-4, beta2: 0.95, warmupIters: 2000 },
  'gpt2-large': { maxIters: 600_000, learningRate: 2.5e-4, beta2: 0.95, warmupIters: 2000 },
  'gpt2-xl': { maxIters: 600_000, learningRate: 2e-4, beta2: 0.95, warmupIters: 2000 },
  'gpt3-125m': gpt3(6e-4, presets['gpt3-125m'].batchSize),
  'gpt3-350m': gpt3(3e-4, presets['gpt3-350m'].batchSize),
  'gpt3-760m': gpt3(2.5e-4, presets['gpt3-760m'].batchSize),
  'gpt3-1.3b': gpt3(2e-4, presets['gpt3-1.3b'].batchSize),
  'gpt3-2.7b': gpt3(1.6e-4, presets['gpt3-2.7b'].batchSize),
  'gpt3-6.7b': gpt3(1.2e-4, presets['gpt3-6.7b'].batchSize),
  'gpt3-13b': gpt3(1e-4, presets['gpt3-13b'].batchSize),
  'gpt3-175b': gpt3(0.6e-4, presets['gpt3-175b'].batchSize),
};
