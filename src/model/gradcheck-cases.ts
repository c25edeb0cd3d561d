import type { GradientCase } from '../autodiff/gradcheck.ts';
import { allArchitectures } from './architectures/registry.ts';
import type { Architecture } from './architecture.ts';
import type { ModelConfig } from './config.ts';
import { adaptLinearLayers } from './lora-linear.ts';
import { linearLayers, type LoraConfig } from './lora.ts';
import { parameterTable } from './parameters.ts';

/** Whole models of every architecture, from ids to the loss of each token, including dropout, and one of each with adapters. */
export const modelGradientCases = (): GradientCase[] =>
  allArchitectures().flatMap((architecture) => [
    ...architecture.gradientExamples.map(({ name, config }) => modelCase(architecture, name, config)),
    ...architecture.gradientExamples.slice(0, 1).map(({ name, config }) =>
      modelCase(architecture, `${name} with adapters`, {
        ...config,
        lora: tinyAdapters(architecture, config),
      }),
    ),
  ]);

const tinyAdapters = (architecture: Architecture, config: ModelConfig): LoraConfig => ({
  rank: 2,
  alpha: 3,
  dropout: 0.25,
  targets: linearLayers(architecture.parameters(config)),
  isRankStabilized: false,
  base: { path: '' },
});

function modelCase(architecture: Architecture, name: string, config: ModelConfig): GradientCase {
  const [B, T] = [2, config.blockSize];
  return {
    name: `${name}, L=${config.nLayer} H=${config.nHead} C=${config.nEmbd}`,
    inputs: [
      { name: 'ids', shape: [B, T], from: 0, below: config.vocabSize },
      { name: 'positions', shape: [B, T], from: 0, below: T },
      { name: 'targets', shape: [B, T], from: 0, below: config.vocabSize },
      { name: 'rng', shape: [4], from: 0, below: 2 ** 31 },
      // Larger than GPT-2's initialization, so that every derivative is well above rounding error.
      ...parameterTable(config).map((parameter) => ({
        name: parameter.name,
        shape: parameter.shape,
        scale: 0.5,
      })),
    ],
    record(t, values) {
      const { ids, positions, targets, rng } = values;
      const lookup = (parameter: string) => values[parameter];
      const inputs = { ids, positions, rng, dropout: config.dropout };
      const { lora } = config;
      if (lora !== undefined)
        adaptLinearLayers(t, lora, new Map(Object.entries(values)), { rng, probability: lora.dropout });
      const { hidden } = architecture.forward(t, config, lookup, inputs);
      return t.crossEntropy(architecture.head(t, config, lookup, hidden), targets);
    },
  };
}
