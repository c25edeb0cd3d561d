import { expect, test } from 'vitest';
import { weightStatistics } from '../../src/inspect/weights.ts';

const of = (...data: number[]) =>
  weightStatistics({ name: 'w', shape: [data.length], data: Float32Array.from(data) });

test('statistics of a tensor are its mean, deviation, range, zeros and norm', () => {
  expect(of(0, 2, 4, -2, 0)).toEqual({
    name: 'w',
    shape: [5],
    mean: 0.8,
    std: Math.sqrt((0.64 + 1.44 + 10.24 + 7.84 + 0.64) / 5),
    min: -2,
    max: 4,
    zeros: 0.4,
    norm: Math.sqrt(24),
  });
});

test('the deviation is accurate even if the mean is far from zero', () => {
  expect(of(1e6 + 1, 1e6 + 3).std).toBe(1);
});
