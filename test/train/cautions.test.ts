import { expect, test } from 'vitest';
import { cautionsAbout } from '../../src/train/cautions.ts';
import type { GivenOptions } from '../../src/train/options.ts';
import { resolveOptions } from '../../src/train/settings.ts';

const cautions = (given: GivenOptions) =>
  cautionsAbout(given, resolveOptions({ corpus: ['book.txt'], maxIters: 100, ...given })).map(
    ({ option, why }) => `${option} ${why}`,
  );

test.each<[GivenOptions, string]>([
  [{ optimizer: 'sgd', beta1: 0.8 }, 'beta1 has no effect with the optimizer sgd'],
  [{ optimizer: 'sgd', beta2: 0.8 }, 'beta2 has no effect with the optimizer sgd'],
  [{ momentum: 0.8 }, 'momentum has no effect with the optimizer adamw'],
  [{ muonLearningRate: 0.1 }, 'muonLearningRate has no effect with the optimizer adamw'],
  [{ patience: 3, evalInterval: 0 }, 'patience has no effect if the only evaluation is at the end'],
  [{ patience: 3, evalInterval: 100 }, 'patience has no effect if the only evaluation is at the end'],
  [{ lrDecayStart: 50 }, 'lrDecayStart has no effect with the cosine schedule, only with wsd'],
  [{ optimizer: 'sgd', epsilon: 1e-9 }, 'epsilon has no effect with the optimizer sgd'],
  [
    { schedule: 'inverse-sqrt', minLr: 1e-5 },
    'minLr has no effect with the inverse-sqrt schedule, whose decay has no end',
  ],
  [
    { schedule: 'inverse-sqrt', lrDecayIters: 50 },
    'lrDecayIters has no effect with the inverse-sqrt schedule, whose decay has no end',
  ],
  [
    { schedule: 'inverse-sqrt', lrDecayStart: 50 },
    'lrDecayStart has no effect with the inverse-sqrt schedule, only with wsd',
  ],
  [
    { schedule: 'inverse-sqrt', warmupIters: 0 },
    'warmupIters 0 makes the inverse-sqrt schedule start at its peak: after 100 steps, the learning rate is a tenth of it',
  ],
  [{ lrDecayType: '1-sqrt' }, 'lrDecayType has no effect with the cosine schedule, only with wsd'],
  [{ schedule: 'constant', minLr: 1e-5 }, 'minLr has no effect on a constant learning rate'],
  [{ schedule: 'constant', lrDecayIters: 50 }, 'lrDecayIters has no effect on a constant learning rate'],
  [
    { warmupIters: 100 },
    "warmupIters 100 is not below the run's 100 steps: the learning rate does not reach its peak",
  ],
  [
    { warmupIters: 50, schedule: 'linear', lrDecayIters: 50 },
    'warmupIters 50 is not below 50, the end of the decay: the learning rate does not reach its peak',
  ],
  [
    { schedule: 'wsd', lrDecayStart: 100 },
    "lrDecayStart 100 is not below the run's 100 steps: the learning rate does not decay",
  ],
  [
    { schedule: 'wsd', lrDecayStart: 50, lrDecayIters: 50 },
    'lrDecayStart 50 is not below 50, the end of the decay: the learning rate falls in a single step',
  ],
  [{ rareWords: 'unk' }, 'rareWords has no effect with the tokenizer char'],
  [
    { tokenizer: 'word', minFrequency: 1 },
    'minFrequency is 1: no word of the text is spelled, so the model does not learn to spell new ones',
  ],
])('a warning names %o', (given, message) => {
  expect(cautions(given)).toEqual([message]);
});

test.each<GivenOptions>([
  {},
  { optimizer: 'sgd', momentum: 0.8 },
  { optimizer: 'lion', beta1: 0.8, beta2: 0.9 },
  { optimizer: 'muon', learningRate: 0, muonLearningRate: 0.1 },
  { optimizer: 'muon', momentum: 0.9, beta1: 0.8, beta2: 0.9, muonLearningRate: 0.1 },
  { beta1: 0.8, beta2: 0.9 },
  { patience: 0, evalInterval: 0 },
  { patience: 3 },
  { patience: 3, evalInterval: 50 },
  { schedule: 'wsd', lrDecayStart: 50, minLr: 0, lrDecayIters: 80, lrDecayType: '1-sqrt' },
  { warmupIters: 99 },
  { warmupIters: 0 },
  { schedule: 'inverse-sqrt', warmupIters: 50 },
  { epsilon: 1e-9, labelSmoothing: 0.1 },
  { tokenizer: 'word', minFrequency: 1, rareWords: 'unk' },
  { tokenizer: 'word', minFrequency: 1, vocabSize: 1000 },
  { tokenizer: 'word', minFrequency: 2, rareWords: 'spell' },
])('no warning names %o', (given) => {
  expect(cautions(given)).toEqual([]);
});
