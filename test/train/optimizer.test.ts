import { describe, expect, test } from 'vitest';
import { HYPER } from '../../src/engine/signatures.ts';
import {
  numbersPerParameter,
  optimizerNames,
  optimizers,
  hyperparameters,
} from '../../src/train/optimizer.ts';

const options = {
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  weightDecay: 0.1,
  momentum: 0.8,
  matrixRate: 5,
  gradClip: 2,
};

describe('an optimizer', () => {
  test.each([
    ['adamw', ['m', 'v'], 4],
    ['sgd', ['m'], 3],
    ['muon', ['m', 'v'], 4],
  ] as const)('%s keeps the moments %j, %i numbers for each parameter', (name, moments, numbers) => {
    expect(optimizers[name].moments).toEqual(moments);
    expect(numbersPerParameter(name)).toBe(numbers);
  });

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
    const slots = hyperparameters({ ...options, optimizer }, 3, 0.01);
    const written = Object.entries(HYPER).filter(([, slot]) => slots[slot] !== 0);
    expect(Object.fromEntries(written.map(([name, slot]) => [name, slots[slot]]))).toEqual(expected);
  });

  test('is selected by a name that --optimizer accepts', () => {
    expect(optimizerNames).toEqual(['adamw', 'sgd', 'muon']);
  });
});
