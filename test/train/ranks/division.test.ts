import { describe, expect, test } from 'vitest';
import { NORM_BLOCK } from '../../../src/engine/signatures.ts';
import { divideParameters } from '../../../src/train/ranks/division.ts';
import type { MatrixPlace } from '../../../src/train/record-update.ts';

const B = NORM_BLOCK;

function matrix(name: string, start: number, rows: number, columns: number): MatrixPlace {
  return {
    name,
    start,
    paddedLength: Math.ceil((rows * columns) / B) * B,
    shape: [rows, columns],
    isTransposed: false,
  };
}

/** Embeddings, six layers of two matrices, vectors. */
const embeddings = 300 * B;
const matrices: MatrixPlace[] = [];
for (let end = embeddings; matrices.length < 12;) {
  const next = matrix(`${matrices.length}`, end, 384, matrices.length % 2 === 0 ? 1536 : 384);
  matrices.push(next);
  end += next.paddedLength;
}
const vectors = matrices.at(-1)!.start + matrices.at(-1)!.paddedLength;
const length = vectors + 7 * 384;

describe('the parameters divided among ranks', () => {
  test.each([1, 2, 3, 8, 40])('are covered once by the slices of %i ranks, in order', (ranks) => {
    const buckets = divideParameters(length, matrices, ranks);
    let end = 0;
    for (const bucket of buckets) {
      expect(bucket.start).toBe(end);
      for (const slice of bucket.slices) {
        expect(slice.start).toBe(end);
        expect(slice.end).toBeGreaterThan(end);
        expect(slice.owner).toBeLessThan(ranks);
        end = slice.end;
      }
      expect(bucket.end).toBe(end);
    }
    expect(end).toBe(length);
  });

  test.each([2, 3, 8, 40])(
    'are cut between blocks of the norm and not within matrices: %i ranks',
    (ranks) => {
      const slices = divideParameters(length, matrices, ranks).flatMap((bucket) => bucket.slices);
      for (const { start } of slices) {
        expect(start % B).toBe(0);
        for (const each of matrices)
          expect(start <= each.start || start >= each.start + each.paddedLength).toBe(true);
      }
    },
  );

  test.each([2, 3, 8])('give each of %i ranks about the same work', (ranks) => {
    const work = Array.from({ length: ranks }, () => 0);
    for (const { slices } of divideParameters(length, [], ranks))
      for (const { owner, start, end } of slices) work[owner] += end - start;
    expect(Math.max(...work) / Math.min(...work)).toBeLessThan(1.05);
  });

  test('are sent in buckets, each of which belongs to all ranks', () => {
    const buckets = divideParameters(length, [], 4);
    expect(buckets.length).toBeGreaterThan(3);
    for (const { slices } of buckets) expect(new Set(slices.map(({ owner }) => owner)).size).toBe(4);
  });
});
