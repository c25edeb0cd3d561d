import { describe, expect, test } from 'vitest';
import { checkMicroBatches, splitBatch, splitEvaluations } from '../../../src/train/ranks/split-batch.ts';

const one = (batchSize: number) => ({ batchSize, gradientAccumulationSteps: 1 });

describe('the sequences of a step', () => {
  test.each([
    [16, 2, 8, 2],
    [64, 8, 8, 8],
    [12, 5, 2, 6],
    [7, 2, 1, 7],
    [16, 1, 16, 1],
  ])(
    '%i for %i ranks become micro-batches of %i, %i of them',
    (sequences, ranks, batchSize, microBatches) => {
      expect(splitBatch(one(sequences), {}, ranks)).toEqual({
        batchSize,
        gradientAccumulationSteps: microBatches,
      });
    },
  );

  test('keep a number of micro-batches that is given or large enough', () => {
    const given = { batchSize: 4, gradientAccumulationSteps: 3 };
    expect(splitBatch(given, given, 2)).toEqual(given);
    expect(splitBatch(given, {}, 3)).toEqual(given);
  });

  test('cannot be fewer than the ranks', () => {
    expect(() => splitBatch(one(3), {}, 4)).toThrow('a step has 3 sequences, too few for 4 ranks');
    expect(() => splitBatch(one(8), { gradientAccumulationSteps: 1 }, 4)).toThrow(
      'a step of this run has 1 micro-batch, too few for 4 ranks',
    );
    expect(() => checkMicroBatches({ batchSize: 8, gradientAccumulationSteps: 4 }, 4)).not.toThrow();
  });

  test('an evaluation has as many sequences as in one process', () => {
    expect(splitEvaluations(20, { from: one(16), to: splitBatch(one(16), {}, 4) })).toBe(80);
    expect(splitEvaluations(20, { from: one(12), to: splitBatch(one(12), {}, 5) })).toBe(120);
    expect(splitEvaluations(20, { from: one(12), to: one(12) })).toBe(20);
  });
});
