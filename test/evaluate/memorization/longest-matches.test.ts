import { array, assert, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import { longestMatches } from '../../../src/evaluate/memorization/longest-matches.ts';

const source = (ids: readonly number[]) => ({
  length: ids.length,
  slice: (a: number, b: number) => ids.slice(a, b),
});

const contains = (text: readonly number[], part: readonly number[]): boolean =>
  text.some((_, at) => part.every((id, i) => text[at + i] === id));

test('the longest match ending at each token is found, with its position in the other text', () => {
  const ids = (max: number, maxLength: number) => array(integer({ min: 0, max }), { maxLength });
  assert(
    property(
      integer({ min: 0, max: 3 }).chain((max) => array(ids(max, 40), { maxLength: 4 })),
      ids(3, 80),
      (texts, other) => {
        longestMatches(texts, source(other)).forEach(({ lengths, ends }, t) => {
          texts[t].forEach((_, i) => {
            const upTo = texts[t].slice(0, i + 1);
            let longest = 0;
            while (longest <= i && contains(other, upTo.slice(i - longest))) longest++;
            expect(lengths[i]).toBe(longest);
            if (longest === 0) expect(ends[i]).toBe(-1);
            else expect(other.slice(ends[i] - longest, ends[i])).toEqual(upTo.slice(i + 1 - longest));
          });
        });
      },
    ),
    { numRuns: 300, seed: 1985 },
  );
});

test('a training text longer than one chunk is searched across chunks', () => {
  let state = 1;
  const other = Array.from({ length: 200_000 }, () => (state = (state * 48_271) % 0x7fffffff) % 251);
  const copied = other.slice(65_500, 65_600); // across the seam of two pieces
  const [{ lengths, ends }] = longestMatches([[300, ...copied, 301]], source(other));
  expect(lengths[100]).toBe(100);
  expect(ends[100]).toBe(65_600);
  expect([lengths[0], lengths[101]]).toEqual([0, 0]);
});
