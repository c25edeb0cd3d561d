import { describe, expect, test } from 'vitest';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import { checkConfig } from '../../src/model/architectures/registry.ts';
import { presets, type PresetName } from '../../src/model/config.ts';
import { countParameters, parametersByPart } from '../../src/model/parameters.ts';
import { costOn, accelerators } from '../../src/forecast/hardware.ts';
import { trainingFlops } from '../../src/forecast/model-cost.ts';
import { stateNumbers } from '../../src/train/optimizer.ts';
import { recipes } from '../../src/train/recipe.ts';

// Brown et al. 2020. Table 2.1: n_params as named, n_layers, d_model, d_head, batch size in tokens, learning rate. Table D.1:
// parameters in millions, FLOPs of training on 300 billion tokens.
const paper: readonly (readonly [
  PresetName,
  string,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
])[] = [
  ['gpt3-125m', 'Small', 12, 768, 64, 0.5e6, 6.0e-4, 125, 2.25e20],
  ['gpt3-350m', 'Medium', 24, 1024, 64, 0.5e6, 3.0e-4, 356, 6.41e20],
  ['gpt3-760m', 'Large', 24, 1536, 96, 0.5e6, 2.5e-4, 760, 1.37e21],
  ['gpt3-1.3b', 'XL', 24, 2048, 128, 1e6, 2.0e-4, 1320, 2.38e21],
  ['gpt3-2.7b', '2.7B', 32, 2560, 80, 1e6, 1.6e-4, 2650, 4.77e21],
  ['gpt3-6.7b', '6.7B', 32, 4096, 128, 2e6, 1.2e-4, 6660, 1.2e22],
  ['gpt3-13b', '13B', 40, 5120, 128, 2e6, 1.0e-4, 12_850, 2.31e22],
  ['gpt3-175b', '175B', 96, 12_288, 128, 3.2e6, 0.6e-4, 174_600, 3.14e23],
];

const configOf = (preset: PresetName) => ({ ...gpt2Defaults, ...presets[preset], vocabSize: 50_257 });

describe.each(paper)('%s is GPT-3 %s', (preset, _name, L, C, headSize, batch, rate, millions, flops) => {
  const config = checkConfig(configOf(preset));
  test('in shape, batch and learning rate (table 2.1)', () => {
    expect(config).toMatchObject({ nLayer: L, nEmbd: C, blockSize: 2048 });
    expect(config.nEmbd / config.nHead).toBe(headSize);
    expect(Math.abs((presets[preset].batchSize * 2048) / batch - 1)).toBeLessThan(0.05);
    expect(recipes[preset].learningRate).toBeCloseTo(rate, 10);
  });
  test('in parameters, which are the sum of its parts (table D.1)', () => {
    const parameters = countParameters(config);
    expect(Math.abs(parameters / (millions * 1e6) - 1)).toBeLessThan(0.004);
    expect(Object.values(parametersByPart(config)).reduce((a, b) => a + b)).toBe(parameters);
  });
  test('in compute: 6·N·D to the digits given (table D.1)', () => {
    const ours = trainingFlops(countParameters(config), 300e9);
    expect(Math.abs(ours / flops - 1)).toBeLessThan(0.005);
    const { maxIters } = recipes[preset];
    expect((maxIters * presets[preset].batchSize * 2048) / 300e9).toBeCloseTo(1, 4);
  });
});

test('GPT-3 175B takes about 355 years and $4.6 million on one V100', () => {
  const parameters = countParameters(configOf('gpt3-175b'));
  const flops = trainingFlops(parameters, 300e9);
  expect(accelerators.v100.peakFlops * accelerators.v100.utilization).toBe(28e12);
  const { seconds, dollars, leastDevices } = costOn(accelerators.v100, {
    flops,
    stateBytes: 4 * stateNumbers('adamw', configOf('gpt3-175b')),
  });
  expect(Math.floor(seconds / (365.25 * 86_400))).toBe(355);
  expect(dollars / 1e6).toBeCloseTo(4.68, 2); // 4.6 in the estimate, which cuts where this rounds
  expect(leastDevices).toBe(88);
});
