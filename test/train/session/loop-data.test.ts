import { expect, test } from 'vitest';
import { windowsPerEpoch } from '../../../src/data/epochs.ts';
import type { TokenSource } from '../../../src/data/token-source.ts';
import { loopData } from '../../../src/train/session/loop-data.ts';
import { resolveOptions, type TrainModelOptions } from '../../../src/train/settings.ts';

const numbered = (length: number): TokenSource => ({
  length,
  slice: (start, end) => Array.from({ length: end - start }, (_, i) => start + i),
});
const data = { train: numbered(603), validation: numbered(0) };
const base: TrainModelOptions = { corpus: [], blockSize: 8 };

/** First targets of the sequences of some steps. */
const sequences = (options: Partial<TrainModelOptions>, from: number, to: number): number[] => {
  const { stepData } = loopData(data, resolveOptions({ ...base, ...options }));
  const steps = Array.from({ length: to - from }, (_, i) => stepData(from + i));
  return steps.flatMap(({ batches }) =>
    Array.from(batches).flatMap(({ targets }) => Array.from(targets).filter((_, i) => i % 8 === 0)),
  );
};

test('a batch size changed with --force continues the epoch: none of its sequences is repeated or left out', () => {
  const windows = windowsPerEpoch(603, 8); // 74
  const before = { batchSampling: 'epochs', batchSize: 3, gradientAccumulationSteps: 2 } as const;
  const { batchSampling, ...size } = before;
  const after = { batchSampling, batchSize: 4, forcedChanges: [{ step: 5, before: size }] };
  const starts = [...sequences(before, 0, 5), ...sequences(after, 5, 16)];
  expect(starts.length).toBe(windows);
  expect(new Set(starts).size).toBe(windows);
});

test('windows are random unless epochs are asked for', () => {
  const starts = sequences({ batchSize: 74 }, 0, 1);
  expect(new Set(starts).size).toBeLessThan(74);
  expect(new Set(starts.map((start) => start % 8)).size).toBe(8);
});
