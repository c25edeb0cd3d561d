import { array, assert, integer, property, record } from 'fast-check';
import { expect, test } from 'vitest';
import { packedDocuments } from '../../src/evaluate/packed-documents.ts';

/** Documents of different ids, so that each position tells where it is from. */
const documentsOf = (lengths: readonly number[]): Uint32Array[] =>
  lengths.map((length, k) => Uint32Array.from({ length }, (_, i) => 1000 * k + i));

test('short documents share a row; a long one is divided as the windows of a text', () => {
  const [first, second, ...rest] = packedDocuments(documentsOf([4, 2, 8]), { B: 2, T: 5 }, 3);
  expect(rest).toEqual([]);
  expect([...first.inputs]).toEqual([0, 1, 2, 1000, 0, 2000, 2001, 2002, 2003, 2004]);
  expect([...first.targets]).toEqual([1, 2, 3, 1001, -1, 2001, 2002, 2003, 2004, 2005]);
  expect([...first.rows!.starts]).toEqual([0, 0, 0, 3, 4, 0, 0, 0, 0, 0]);
  expect([...first.rows!.positions]).toEqual([0, 1, 2, 0, 0, 0, 1, 2, 3, 4]);
  expect([...second.inputs.subarray(0, 4)]).toEqual([2003, 2004, 2005, 2006]);
  expect([...second.targets]).toEqual([-1, -1, 2006, 2007, -1, -1, -1, -1, -1, -1]);
});

const shapes = record({
  lengths: array(integer({ min: 0, max: 40 }), { maxLength: 20 }),
  B: integer({ min: 1, max: 4 }),
  T: integer({ min: 1, max: 12 }),
  overlap: integer({ min: 0, max: 11 }),
});

test('each token except the first of its document is a target once, in order, after the tokens before it', () => {
  assert(
    property(shapes, ({ lengths, B, T, overlap }) => {
      const stride = Math.max(1, T - overlap);
      const found: number[] = [];
      for (const { inputs, targets, rows } of packedDocuments(documentsOf(lengths), { B, T }, stride))
        targets.forEach((target, i) => {
          const { starts, positions } = rows!;
          expect(starts[i] + positions[i]).toBe(i % T);
          if (target < 0) return;
          found.push(target);
          const at = target % 1000;
          expect(positions[i]).toBeGreaterThanOrEqual(Math.min(at - 1, T - stride));
          for (let back = 0; back <= positions[i]; back++) expect(inputs[i - back]).toBe(target - 1 - back);
        });
      expect(found).toEqual(documentsOf(lengths).flatMap((ids) => [...ids.subarray(1)]));
    }),
  );
});
