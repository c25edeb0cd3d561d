import { describe, expect, test } from 'vitest';
import { HYPER } from '../../src/engine/signatures.ts';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import { isLinearWeight } from '../../src/model/parameter.ts';
import { toNormBlocks } from '../../src/model/placement.ts';
import { optimizerNames, optimizers, hyperparameters, stateNumbers } from '../../src/train/optimizer.ts';
import { trainingPrograms } from '../../src/train/programs.ts';

// 2 blocks of 12 matrices of 16 × 16, and embeddings of 8 + 16 rows.
const config = { ...gpt2Defaults, vocabSize: 8, blockSize: 16, nLayer: 2, nHead: 2, nEmbd: 16, dropout: 0 };
const inMatrices = 2 * 12 * 16 * 16;
const inVectors = 2 * 13 * 16 + 2 * 16;
const total = inMatrices + inVectors + 24 * 16;

const options = {
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.1,
  momentum: 0.8,
  gradClip: 2,
};

describe('an optimizer', () => {
  test.each([
    ['adamw', ['m', 'v'], 4 * total],
    ['sgd', ['m'], 3 * total],
    ['lion', ['m'], 3 * total],
    ['muon', ['m', 'v'], 4 * total - inMatrices],
  ] as const)(
    '%s keeps the moments %j, and memory for those that a parameter has',
    (name, moments, numbers) => {
      expect(optimizers[name].moments).toEqual(moments);
      expect(stateNumbers(name, config)).toBe(numbers);
      const programs = trainingPrograms({ config, batchSize: 1, microBatches: 1, optimizer: name });
      const { trained, parameters } = programs.model.block;
      const matrices = parameters.filter(({ parameter }) => isLinearWeight(parameter));
      const room = matrices.reduce((sum, { parameter, length }) => sum + toNormBlocks(parameter, length), 0);
      const allocated = programs.moments.reduce((sum, { region }) => sum + region.length, 0);
      expect(allocated).toBe(moments.length * trained - (name === 'muon' ? room : 0));
    },
  );

  test.each([
    [
      'adamw',
      {
        learningRate: 0.01,
        clip: 2,
        weightDecay: 0.1,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-8,
        oneMinusBeta1: 1 - 0.9,
        oneMinusBeta2: 1 - 0.99,
        correction1: 1 - 0.9 ** 3,
        correction2: 1 - 0.99 ** 3,
      },
    ],
    ['sgd', { learningRate: 0.01, clip: 2, weightDecay: 0.1, momentum: 0.8 }],
    [
      'lion',
      {
        learningRate: 0.01,
        clip: 2,
        weightDecay: 0.1,
        beta1: 0.9,
        beta2: 0.99,
        oneMinusBeta1: 1 - 0.9,
        oneMinusBeta2: 1 - 0.99,
      },
    ],
    [
      'muon',
      {
        learningRate: 0.01,
        matrixLearningRate: 0.05,
        clip: 2,
        weightDecay: 0.1,
        momentum: 0.8,
        oneMinusMomentum: 1 - 0.8,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-8,
        oneMinusBeta1: 1 - 0.9,
        oneMinusBeta2: 1 - 0.99,
        correction1: 1 - 0.9 ** 3,
        correction2: 1 - 0.99 ** 3,
      },
    ],
  ] as const)('%s has the hyperparameters of its rules', (optimizer, expected) => {
    const slots = hyperparameters({ ...options, optimizer }, 3, {
      learningRate: 0.01,
      matrixLearningRate: 0.05,
    });
    const written = Object.entries(HYPER).filter(([, slot]) => slots[slot] !== 0);
    expect(Object.fromEntries(written.map(([name, slot]) => [name, slots[slot]]))).toEqual(expected);
  });

  test('is selected by a name that --optimizer accepts', () => {
    expect(optimizerNames).toEqual(['adamw', 'sgd', 'lion', 'muon']);
  });
});
