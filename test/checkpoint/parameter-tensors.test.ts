import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { matchTensors } from '../../src/checkpoint/parameter-tensors.ts';
import { openWeights } from '../../src/checkpoint/weights.ts';
import { llamaDefaults, type LlamaConfig } from '../../src/model/architectures/llama-config.ts';
import { parameterTable } from '../../src/model/parameters.ts';
import { hostTensor } from '../../src/model/tensor.ts';
import { writeHostWeights } from '../fixtures/host-weights.ts';
import { config as gpt2 } from './tiny-model.ts';

const llama: LlamaConfig = {
  ...llamaDefaults,
  arch: 'llama',
  vocabSize: 3,
  blockSize: 4,
  nLayer: 1,
  nHead: 2,
  nEmbd: 4,
  nInner: 16,
  dropout: 0,
};

test.each([
  ['gpt2', gpt2, 'h.0.mlp.c_fc.weight', '[in, out]'],
  ['llama', llama, 'layers.0.mlp.up_proj.weight', '[out, in]'],
] as const)('the hint about a transposed weight names the layout of %s', (_, config, name, layout) => {
  const folder = mkdtempSync(join(tmpdir(), 'transposed-'));
  const tensors = parameterTable(config)
    .map(hostTensor)
    .map((tensor) => (tensor.name === name ? { ...tensor, shape: tensor.shape.toReversed() } : tensor));
  writeHostWeights(folder, config, tensors, {});
  const weights = openWeights(folder);
  expect(() => matchTensors(weights, config)).toThrow(
    expect.objectContaining({ code: 'mismatched-files', hint: expect.stringContaining(layout) as string }),
  );
  weights.close();
});
