import { describe, expect, test } from 'vitest';
import {
  cautionAboutDivision,
  checkMicroBatches,
  splitBatch,
  splitEvaluations,
} from '../../../src/train/ranks/split-batch.ts';

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

  test.each([
    [12, 6, 5, '6 micro-batches a step for 5 ranks, which are busy 60% of the time; 10 sequences'],
    [62, 31, 4, '31 micro-batches a step for 4 ranks, which are busy 97% of the time; 64 sequences'],
    [64, 8, 6, '8 micro-batches a step for 6 ranks, which are busy 67% of the time; 66 sequences'],
    [64, 8, 4, undefined],
    [7, 7, 7, undefined],
  ])('%i in %i micro-batches for %i ranks: %s', (sequences, microBatches, ranks, expected) => {
    const options = { batchSize: sequences / microBatches, gradientAccumulationSteps: microBatches };
    const why = cautionAboutDivision(options, ranks)?.why;
    if (expected === undefined) expect(why).toBeUndefined();
    else expect(why).toContain(expected);
  });

  test('an evaluation has as many sequences as in one process', () => {
    expect(splitEvaluations(20, { from: one(16), to: splitBatch(one(16), {}, 4) })).toBe(80);
    expect(splitEvaluations(20, { from: one(12), to: splitBatch(one(12), {}, 5) })).toBe(120);
    expect(splitEvaluations(20, { from: one(12), to: one(12) })).toBe(20);
  });
});
