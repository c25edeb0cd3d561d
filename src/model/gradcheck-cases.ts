import type { GradientCase } from '../autodiff/gradcheck.ts';
import { gpt2Defaults, type ModelConfig } from './config.ts';
import { gpt, head } from './gpt.ts';
import { parameterTable } from './parameters.ts';

const tiny: ModelConfig = {
  ...gpt2Defaults,
  vocabSize: 11,
  blockSize: 6,
  nLayer: 2,
  nHead: 2,
  nEmbd: 8,
  dropout: 0.2,
};

/** Whole models, from ids to the mean loss, dropout included: GPT-2's architecture and the original Transformer's pieces. */
export const modelGradientCases: readonly GradientCase[] = [
  modelCase('GPT-2 architecture', tiny),
  modelCase('post-LN, ReLU', { ...tiny, norm: 'post', activation: 'relu' }),
  modelCase('exact GELU, a head of its own, a narrow MLP', {
    ...tiny,
    activation: 'gelu',
    tieWordEmbeddings: false,
    nInner: 5,
    dropout: 0,
  }),
  modelCase('sinusoidal positions', { ...tiny, positions: 'sinusoidal', dropout: 0 }),
];

function modelCase(name: string, config: ModelConfig): GradientCase {
  const [B, T] = [2, config.blockSize];
  return {
    name: `${name}, L=${config.nLayer} H=${config.nHead} C=${config.nEmbd}`,
    inputs: [
      { name: 'ids', shape: [B, T], from: 0, below: config.vocabSize },
      { name: 'positions', shape: [B, T], from: 0, below: T },
      { name: 'targets', shape: [B, T], from: 0, below: config.vocabSize },
      { name: 'rng', shape: [4], from: 0, below: 2 ** 31 },
      // Larger than GPT-2's initialisation, so that every derivative is well above rounding.
      ...parameterTable(config).map((parameter) => ({
        name: parameter.name,
        shape: parameter.shape,
        scale: 0.5,
      })),
    ],
    record(t, values) {
      const { ids, positions, targets, rng } = values;
      const lookup = (parameter: string) => values[parameter];
      const hidden = gpt(t, config, lookup, { ids, positions, rng, dropout: config.dropout });
      return t.meanLoss(t.crossEntropy(head(t, config, lookup, hidden), targets), targets);
    },
  };
}
