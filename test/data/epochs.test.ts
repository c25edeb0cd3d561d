import { assert, integer, property, record } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { epochStep, windowsPerEpoch } from '../../src/data/epochs.ts';
import type { TokenSource } from '../../src/data/token-source.ts';
import { failure } from '../fixtures/failure.ts';

/** A text whose token i is i. */
const numbered = (length: number): TokenSource => ({
  length,
  slice: (start, end) => Array.from({ length: end - start }, (_, i) => start + i),
});

/** The targets of sequences `first` to `first + count`, one list for each. */
function sequences(length: number, T: number, first: number, count: number, seed = 1): number[][] {
  const { batches } = epochStep(numbered(length), { B: 1, T }, { seed, first, microBatches: count });
  return Array.from(batches, ({ inputs, targets }) => {
    expect([...targets]).toEqual(Array.from(inputs, (id) => id + 1));
    return [...targets];
  });
}

/** The targets of an epoch, in the order of the text. */
const epoch = (length: number, T: number, number: number, seed = 1): number[] => {
  const count = windowsPerEpoch(length, T);
  return sequences(length, T, number * count, count, seed)
    .flat()
    .sort((a, b) => a - b);
};

describe('an epoch', () => {
  test('covers all but less than two windows of the text, each token once as a target', () => {
    const texts = record({ extra: integer({ min: 1, max: 300 }), T: integer({ min: 1, max: 20 }) });
    assert(
      property(
        texts,
        integer({ min: -2, max: 9 }),
        integer({ min: 0, max: 99 }),
        ({ extra, T }, number, seed) => {
          const length = T + extra;
          const targets = epoch(length, T, number, seed);
          expect(targets).toEqual(Array.from(targets, (_, i) => targets[0] + i));
          expect(targets[0]).toBeGreaterThanOrEqual(1);
          expect(targets.at(-1)).toBeLessThan(length);
          expect(length - 1 - targets.length).toBeLessThan(2 * T);
        },
      ),
      { seed: 1 },
    );
  });

  test('starts at another offset and has another order than the previous one', () => {
    const orders = Array.from({ length: 40 }, (_, number) =>
      sequences(103, 8, number * 11, 11).map(([a]) => a),
    );
    const offsets = new Set(orders.map((starts) => Math.min(...starts)));
    expect(offsets.size).toBe(103 - 1 - 11 * 8 + 1);
    const shapes = new Set(orders.map((starts) => starts.map((a) => a - Math.min(...starts)).join()));
    expect(shapes.size).toBe(40);
    expect(new Set(orders.flat().map((start) => start % 8)).size).toBe(8);
  });

  test.each([
    [9, 8],
    [16, 8],
    [17, 8],
    [25, 8],
    [26, 8],
    [103, 8],
    [3, 1],
  ])('%i tokens in windows of %i: every token but the first becomes a target', (length, T) => {
    const seen = new Set(Array.from({ length: 200 }, (_, number) => epoch(length, T, number)).flat());
    expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: length - 1 }, (_, i) => i + 1));
  });
});

test('a sequence depends on seed and index alone, not on how sequences are grouped into steps', () => {
  const expected = sequences(103, 8, 0, 36);
  for (const [B, microBatches] of [
    [1, 1],
    [6, 1],
    [3, 2],
    [4, 3],
  ]) {
    const size = B * microBatches;
    const steps = Array.from({ length: 36 / size }, (_, step) =>
      epochStep(numbered(103), { B, T: 8 }, { seed: 1, first: step * size, microBatches }),
    );
    const targets = steps
      .toReversed() // a resumed run, or another process, starts anywhere
      .map(({ batches }) => Array.from(batches, (batch) => [...batch.targets]))
      .toReversed();
    expect(targets.flat(2)).toEqual(expected.flat());
  }
  expect(sequences(103, 8, 0, 36, 2)).not.toEqual(expected);
});

test('a step says in advance how many targets count', () => {
  const step = epochStep(numbered(103), { B: 3, T: 8 }, { seed: 1, first: 5, microBatches: 4 });
  expect(step).toMatchObject({ microBatches: 4, counted: 96 });
});

test('only the windows of a text are read, however long it is', () => {
  const read: number[] = [];
  const length = 2 ** 45;
  const slice = (start: number, end: number): Int32Array => {
    read.push(start, end);
    return new Int32Array(end - start);
  };
  const step = epochStep({ length, slice }, { B: 4, T: 8 }, { seed: 1, first: 2 ** 40, microBatches: 1 });
  expect([...step.batches].length).toBe(1);
  expect(read.length).toBe(8);
  expect(read.every((at) => at >= 0 && at <= length)).toBe(true);
});

test('a text shorter than a window is refused', () => {
  const make = () => epochStep(numbered(8), { B: 1, T: 8 }, { seed: 1, first: 0, microBatches: 1 });
  expect(make).toThrow(failure('text-too-short', '8', 'blockSize'));
});
