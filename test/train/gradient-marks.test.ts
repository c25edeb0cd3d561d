/** GEMM in float16 scales gradient operands, so it must know which they are: see docs/gpu.md. */
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

  test('the products that read the gradient of the logits are those of the head', () => {
    const { forwardBackward } = trainingPrograms({
      config,
      batchSize: 3,
      microBatches: 1,
      optimizer: 'adamw',
    });
    const marked = forwardBackward.instructions.filter(
      ({ kernel, args }) =>
        ['gemm', 'linearParametersBackward'].includes(kernel) &&
        Object.values(args as Record<string, Partial<Buffer> | null>).some((operand) => operand?.isOfLogits),
    );
    // The gradients of the last hidden states and, unless it is frozen, of the head's weight.
    expect(marked.length).toBe('lora' in config ? 1 : 2);
  });

  test('a replica averages over its own micro-batches, a rank over those of the step', () => {
    const averagedOver = (more: object): Set<number | undefined> => {
      const shape = { config, batchSize: 3, microBatches: 4, optimizer: 'adamw' as const, ...more };
      const { instructions } = trainingPrograms(shape).forwardBackward;
      const buffers = instructions.flatMap(({ args }) =>
        Object.values(args as Record<string, Buffer | null>),
      );
      return new Set(buffers.flatMap((buffer) => buffer?.averagedOver ?? []));
    };
    const tokens = 3 * config.blockSize;
    expect([...averagedOver({ replicas: { rank: 1, size: 2 } })]).toEqual([2 * tokens]);
    expect([...averagedOver({ ranks: { rank: 1, size: 2 } })]).toEqual([4 * tokens]);
  });
});
