import { expect, test } from 'vitest';
import { cautionsAboutRanks } from '../../../src/train/ranks/rank-cautions.ts';

test.each([
  [12, 6, 5, '6 micro-batches a step for 5 ranks, which are busy 60% of the time; 10 sequences'],
  [62, 31, 4, '31 micro-batches a step for 4 ranks, which are busy 97% of the time; 64 sequences'],
  [64, 8, 6, '8 micro-batches a step for 6 ranks, which are busy 67% of the time; 66 sequences'],
  [64, 8, 4, undefined],
  [7, 7, 7, undefined],
])('%i in %i micro-batches for %i ranks: %s', (sequences, microBatches, ranks, expected) => {
  const options = { batchSize: sequences / microBatches, gradientAccumulationSteps: microBatches };
  const cautions = cautionsAboutRanks({}, options, ranks);
  if (expected === undefined) expect(cautions).toEqual([]);
  else
    expect(cautions).toMatchObject([
      { option: 'batchSize', why: expect.stringContaining(expected) as string },
    ]);
});

test('a format of gradients is said to have no effect in a single process, if it is not the default', () => {
  const options = { batchSize: 8, gradientAccumulationSteps: 2 };
  const why = 'has no effect in a single process';
  expect(cautionsAboutRanks({ reduceDtype: 'bf16' }, options, 1)).toEqual([{ option: 'reduceDtype', why }]);
  expect(cautionsAboutRanks({ reduceDtype: 'f32' }, options, 1)).toEqual([]);
  expect(cautionsAboutRanks({ reduceDtype: 'bf16' }, options, 2)).toEqual([]);
});
