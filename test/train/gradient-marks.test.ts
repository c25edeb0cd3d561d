/** A GPU that multiplies in float16 must know which operands are gradients: see docs/gpu.md. */
import { describe, expect, test } from 'vitest';
import type { Buffer } from '../../src/engine/instruction.ts';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import { llamaDefaults } from '../../src/model/architectures/llama-config.ts';
import { trainingPrograms } from '../../src/train/programs.ts';

const size = { dropout: 0, vocabSize: 23, blockSize: 8, nLayer: 2, nHead: 2, nEmbd: 20 };
const models = {
  'GPT-2': { ...gpt2Defaults, ...size },
  'Llama, an untied head': {
    ...llamaDefaults,
    ...size,
    arch: 'llama' as const,
    nKvHead: 1,
    tieWordEmbeddings: false,
  },
  'GPT-2 with adapters': {
    ...gpt2Defaults,
    ...size,
    lora: {
      rank: 4,
      alpha: 8,
      dropout: 0,
      targets: ['c_attn', 'c_fc'],
      isRankStabilized: false,
      base: { path: 'base' },
    },
  },
};

describe.each(Object.entries(models))('%s', (_name, config) => {
  test('each product of the backward pass reads one gradient of all tokens of the step, no other reads any', () => {
    const [batchSize, microBatches] = [3, 4];
    const { forwardBackward, update } = trainingPrograms({
      config,
      batchSize,
      microBatches,
      optimizer: 'muon',
    });
    const tokens = batchSize * config.blockSize * microBatches;
    let backward = 0;
    for (const { kernel, label, args } of [...forwardBackward.instructions, ...update.instructions]) {
      if (!['gemm', 'gemmSymmetric', 'linearParametersBackward'].includes(kernel)) continue;
      const operands = ['a', 'b', 'x', 'dY'].flatMap((name) => (args as Record<string, Buffer>)[name] ?? []);
      const marks = operands.map(({ averagedOver }) => averagedOver);
      const isBackward = label.includes('backward');
      backward += Number(isBackward);
      expect(
        marks.filter((mark) => mark !== undefined),
        label,
      ).toEqual(isBackward ? [tokens] : []);
      if ('dY' in args) expect(args.dY.averagedOver).toBe(tokens);
    }
    expect(backward).toBeGreaterThan(8);
  });
});
