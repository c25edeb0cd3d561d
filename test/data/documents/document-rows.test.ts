import { array, assert, constant, integer, property, tuple } from 'fast-check';
import { expect, test } from 'vitest';
import { documentRows } from '../../../src/data/documents/document-rows.ts';

const END = 9;

test('a document begins at the token that ends the one before, and at the start of a row', () => {
  const { starts, positions } = documentRows([1, 2, END, 3, 4, END, END, 5, 1, END], 5, END);
  expect([...starts]).toEqual([0, 0, 2, 2, 2, 0, 1, 1, 1, 4]);
  expect([...positions]).toEqual([0, 1, 0, 1, 2, 0, 0, 1, 2, 0]);
});

test('without a token that ends documents, a row is one', () => {
  const { starts, positions } = documentRows([1, 2, 3, 4, 5, 6], 3, undefined);
  expect([...starts]).toEqual([0, 0, 0, 0, 0, 0]);
  expect([...positions]).toEqual([0, 1, 2, 0, 1, 2]);
});

test('starts do not decrease along a row, and only a start may be an end token', () => {
  const rows = tuple(integer({ min: 1, max: 9 }), integer({ min: 1, max: 5 })).chain(([T, B]) =>
    tuple(constant(T), array(integer({ min: 5, max: END }), { minLength: T * B, maxLength: T * B })),
  );
  assert(
    property(rows, ([T, ids]) => {
      const { starts, positions } = documentRows(ids, T, END);
      ids.forEach((id, i) => {
        const t = i % T;
        expect(starts[i] + positions[i]).toBe(t);
        expect(starts[i]).toBe(t === 0 || id === END ? t : starts[i - 1]);
      });
    }),
  );
});
