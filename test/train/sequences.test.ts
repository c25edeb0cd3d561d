import { expect, test } from 'vitest';
import { forcedChange } from '../../src/train/forced-change.ts';
import { sequencesBefore, tokensBefore } from '../../src/train/sequences.ts';

const settings = { batchSize: 6, gradientAccumulationSteps: 2, forcedChanges: [] };

test('a step has the sequences of all its micro-batches', () => {
  expect([0, 1, 10].map((step) => sequencesBefore(step, settings))).toEqual([0, 12, 120]);
});

test('steps before a forced change count with the earlier batch size and accumulation', () => {
  const forcedChanges = [
    { step: 3, before: { batchSize: 4, learningRate: 1e-3 } },
    { step: 5, before: { gradientAccumulationSteps: 1 } },
    { step: 7, before: { seed: 1 } },
  ];
  // 3 steps of 4, 2 of 6, then 12 each
  const counts = [5, 6, 7, 8].map((step) => sequencesBefore(step, { ...settings, forcedChanges }));
  expect(counts).toEqual([24, 36, 48, 60]);
});

test('after a rollback to before the change, successive steps have successive sequences', () => {
  const forcedChanges = [{ step: 3, before: { batchSize: 1, gradientAccumulationSteps: 1 } }];
  const counts = [0, 1, 2, 3, 4].map((step) => sequencesBefore(step, { ...settings, forcedChanges }));
  expect(counts).toEqual([-33, -21, -9, 3, 15]);
  const tokens = [1, 3].map((step) => tokensBefore(step, { ...settings, forcedChanges, blockSize: 10 }));
  expect(tokens).toEqual([0, 30]);
});

test('a recorded change whose batch size is not a count is refused', () => {
  expect(forcedChange.is({ step: 3, before: { batchSize: 4, dropout: 0.1 } })).toBe(true);
  for (const batchSize of ['4', 0, -1, 1.5, null])
    expect(forcedChange.is({ step: 3, before: { batchSize } })).toBe(false);
});
