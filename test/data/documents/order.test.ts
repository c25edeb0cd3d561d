import { array, assert, constantFrom, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { documentCut, shuffledIds } from '../../../src/data/documents/order.ts';
import { hasBorder, inMemory, splitTokens } from '../../../src/data/token-source.ts';

const END = 9;

/** Documents of 1, 2, 3 … tokens, each with its own token; after an end, as a corpus begins. */
const documents = (count: number): Uint16Array =>
  Uint16Array.from([
    END,
    ...Array.from({ length: count }, (_, i) => [...Array<number>((i % 5) + 1).fill(100 + i), END]).flat(),
  ]);

const sorted = (ids: ArrayLike<number>): number[] => Array.from(ids).sort((a, b) => a - b);

const split = (ids: ArrayLike<number>): string[] =>
  Array.from(ids, (id) => (id === END ? '|' : `${id} `))
    .join('')
    .split('|')
    .slice(1, -1);

describe('shuffled documents', () => {
  test('are the same documents in another order, after the same start', () => {
    const ids = documents(100);
    const { ids: shuffled } = shuffledIds({ ids, endId: END });
    expect(shuffled[0]).toBe(END);
    expect(split(shuffled)).not.toEqual(split(ids));
    expect(split(shuffled).toSorted()).toEqual(split(ids).toSorted());
    expect(shuffledIds({ ids, endId: END }).ids).toEqual(shuffled);
  });

  test('are a permutation of the tokens, whatever these are', () => {
    assert(
      property(array(constantFrom(1, 2, END), { minLength: 1, maxLength: 40 }), (tokens) => {
        const { ids } = shuffledIds({ ids: Uint16Array.from(tokens), endId: END });
        expect(sorted(ids)).toEqual(sorted(tokens));
      }),
      { numRuns: 300, seed: 1 },
    );
  });
});

describe('a border of documents', () => {
  const has = (...ids: number[]): boolean => hasBorder(inMemory(Uint16Array.from(ids)), END);
  test('is an end token between two', () => {
    expect([has(1, END, 2), has(END, 1, END, 2, END)]).toEqual([true, true]);
  });
  test('is not one before the first or after the last', () => {
    expect([has(END, 1, 2, END), has(1, 2), has(END), has()]).toEqual([false, false, false, false]);
  });
});

describe('the split', () => {
  const sourceOf = (ids: Uint16Array) => ({
    length: ids.length,
    slice: (start: number, end: number) => ids.subarray(start, end),
  });
  test('is between documents, and both parts begin after an end', () => {
    const ids = documents(100);
    const parts = splitTokens(sourceOf(ids), 0.1, END);
    const [train, validation] = [parts.train, parts.validation].map((part) =>
      Array.from(part.slice(0, part.length)),
    );
    expect(train.at(-1)).toBe(END);
    expect(validation[0]).toBe(END);
    expect([...train, ...validation.slice(1)]).toEqual(Array.from(ids));
    expect(validation.length / ids.length).toBeCloseTo(0.1, 1);
  });

  test('is within a document that is much longer than the validation split', () => {
    const ids = Uint16Array.from([END, ...Array<number>(100).fill(1), END]);
    expect(documentCut(ids, END, 90)).toEqual({ train: 90, validation: 90 });
  });

  test('finds the nearest border in a file, however far away', () => {
    const ids = new Uint16Array(1_000_000).fill(1);
    const source = { length: ids.length, slice: (start: number, end: number) => ids.slice(start, end) };
    ids[400_000] = ids[620_000] = END;
    expect(documentCut(source, END, 500_000)).toEqual({ train: 400_001, validation: 400_000 });
    ids[599_000] = END;
    expect(documentCut(source, END, 500_000)).toEqual({ train: 599_001, validation: 599_000 });
  });

  test('holds out nothing of a fraction of 0', () => {
    const ids = documents(10);
    const { train, validation } = splitTokens(sourceOf(ids), 0, END);
    expect([train.length, validation.length]).toEqual([ids.length, 0]);
  });
});
