import { array, assert, double, integer, oneof, property } from 'fast-check';
import { expect, test } from 'vitest';
import { nearest } from '../../src/inspect/embeddings.ts';
import { indicesOfLargest } from '../../src/largest.ts';

test('the k largest are those of a full sort, with ties in order', () => {
  assert(
    property(
      array(oneof(integer({ min: -3, max: 3 }), double())),
      integer({ min: 0, max: 9 }),
      (values, k) => {
        const sorted = Array.from(values.keys())
          .filter((i) => !Number.isNaN(values[i]))
          .sort((i, j) => (values[j] > values[i] ? 1 : values[j] < values[i] ? -1 : i - j));
        expect(indicesOfLargest(values, k)).toEqual(sorted.slice(0, k));
      },
    ),
  );
});

test('neighbors have the smallest angle, regardless of length', () => {
  const rows = Float32Array.of(1, 0, 10, 1, 1, 1, -1, 0, 0, 0, 0, 2);
  const found = nearest({ rows, C: 2 }, 0, 9);
  expect(found.map(({ id }) => id)).toEqual([1, 2, 4, 5, 3]);
  const cosines = found.map(({ cosine }) => cosine);
  [10 / Math.sqrt(101), Math.SQRT1_2, 0, 0, -1].forEach((cosine, i) =>
    expect(cosines[i]).toBeCloseTo(cosine, 12),
  );
  expect(nearest({ rows, C: 2 }, 0, 2).length).toBe(2);
});
