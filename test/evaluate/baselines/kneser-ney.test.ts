import { array, assert, integer, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  countNgrams,
  createNgramModel,
  estimateDiscounts,
  type Discounts,
} from '../../../src/evaluate/baselines/kneser-ney.ts';

const source = (ids: readonly number[]) => ({
  length: ids.length,
  slice: (a: number, b: number) => ids.slice(a, b),
});

/** The formulas of kneser-ney.ts once more, straight from the text with no tables: slow, and easy to check. */
function naive(text: readonly number[], vocabSize: number, order: number, discounts: readonly Discounts[]) {
  const mark = vocabSize;
  const marked = [...Array.from({ length: order - 1 }, () => mark), ...text];
  const key = (ids: readonly number[]): string => ids.join(' ');
  const occurrences = new Map<string, number>();
  const predecessors = new Map<string, Set<number>>();
  for (let end = order - 1; end < marked.length; end++) {
    const longest = marked.slice(end - order + 1, end + 1);
    occurrences.set(key(longest), (occurrences.get(key(longest)) ?? 0) + 1);
    for (let length = 1; length < order; length++) {
      const ngram = key(longest.slice(order - length));
      if (!predecessors.has(ngram)) predecessors.set(ngram, new Set());
      predecessors.get(ngram)!.add(longest[order - length - 1]);
    }
  }
  const count = (ngram: readonly number[]): number =>
    ngram.length === order ? (occurrences.get(key(ngram)) ?? 0) : (predecessors.get(key(ngram))?.size ?? 0);
  const discount = (ngram: readonly number[]): number => {
    const c = count(ngram);
    return c === 0 ? 0 : discounts[ngram.length - 1][Math.min(c, 3) - 1];
  };
  const all = Array.from({ length: vocabSize }, (_, v) => v);
  const p = (w: number, h: readonly number[]): number => {
    const total = all.reduce((sum, v) => sum + count([...h, v]), 0);
    const shorter = h.length === 0 ? 1 / vocabSize : undefined;
    if (total === 0) return shorter ?? p(w, h.slice(1));
    const gamma = all.reduce((sum, v) => sum + discount([...h, v]), 0) / total;
    return (count([...h, w]) - discount([...h, w])) / total + gamma * (shorter ?? p(w, h.slice(1)));
  };
  return p;
}

const V = 5;
const tokens = array(integer({ min: 0, max: V - 2 }), {
  minLength: 1,
  maxLength: 60,
});

describe('the n-gram model', () => {
  test.each([1, 2, 3, 5])('of order %i agrees with the formulas', (order) => {
    assert(
      property(tokens, array(integer({ min: 0, max: V - 1 }), { maxLength: 6 }), (text, before) => {
        const model = createNgramModel(countNgrams(source(text), V, order));
        const p = naive(text, V, order, model.discounts);
        const context = order === 1 ? [] : before.slice(1 - order);
        for (let w = 0; w < V; w++) expect(model.probability(before, w)).toBeCloseTo(p(w, context), 12);
      }),
      { numRuns: 60, seed: 1999 },
    );
  });

  test('gives every context probabilities above 0 that sum to 1', () => {
    assert(
      property(
        array(integer({ min: 0, max: 11 }), { minLength: 1, maxLength: 3000 }),
        integer({ min: 1, max: 6 }),
        array(integer({ min: 0, max: 11 }), { maxLength: 8 }),
        (text, order, before) => {
          const model = createNgramModel(countNgrams(source(text), 13, order)); // token 12 never occurs
          let sum = 0;
          for (let w = 0; w < 13; w++) {
            const p = model.probability(before, w);
            expect(p).toBeGreaterThan(0);
            sum += p;
          }
          expect(sum).toBeCloseTo(1, 12);
        },
      ),
      { numRuns: 100, seed: 1995 },
    );
  });

  test('by hand: bigrams of "a b a b a c"', () => {
    // Bigrams: (mark a) ab ba ab ba ac → c(ab) = 2, c(ba) = 2, c(ac) = 1. Different tokens before: a: mark, b → 2; b: 1; c: 1.
    const D: Discounts = [0.5, 1, 1.5];
    const model = createNgramModel(countNgrams(source([0, 1, 0, 1, 0, 2]), 3, 2), [D, D]);
    const uniform = 1 / 3;
    const held = (1 + 0.5 + 0.5) / 4; // D(2) + D(1) + D(1), over 4
    const unigram = [
      (2 - 1) / 4 + held * uniform,
      (1 - 0.5) / 4 + held * uniform,
      (1 - 0.5) / 4 + held * uniform,
    ];
    const afterA = (1 + 0.5) / 3; // D(2) + D(1), over c(ab) + c(ac)
    expect(model.probability([], 0)).toBeCloseTo(unigram[0], 14);
    expect(model.probability([0], 0)).toBeCloseTo(afterA * unigram[0], 14);
    expect(model.probability([0], 1)).toBeCloseTo((2 - 1) / 3 + afterA * unigram[1], 14);
    expect(model.probability([1, 0], 2)).toBeCloseTo((1 - 0.5) / 3 + afterA * unigram[2], 14);
    expect(model.probability([2], 1)).toBeCloseTo(unigram[1], 14); // nothing has followed c
  });

  test('gives a text the same scores however it is divided', () => {
    const random = (n: number, below: number) =>
      Array.from({ length: n }, (_, i) => (i * i * 7 + i * 3 + (i >> 5)) % below);
    const training = random(5000, 17);
    const text = random(200_000, 18).map((id) => (id * 5) % 18);
    const model = createNgramModel(countNgrams(source(training), 19, 4));
    let next = 1;
    for (const { first, nats } of model.scores(source(text))) {
      expect(first).toBe(next);
      for (const i of [0, 1, 2, 500, nats.length - 1])
        expect(nats[i]).toBeCloseTo(
          -Math.log(model.probability(text.slice(Math.max(0, first + i - 9), first + i), text[first + i])),
          12,
        );
      next += nats.length;
    }
    expect(next).toBe(text.length);
  });
});

describe('discounts', () => {
  test("follow Chen and Goodman's estimate", () => {
    // n₁ = 4, n₂ = 3, n₃ = 2, n₄ = 1 unigrams
    const text = [
      0,
      1,
      2,
      3,
      ...[4, 5, 6].flatMap((v) => [v, v]),
      ...[7, 8].flatMap((v) => [v, v, v]),
      9,
      9,
      9,
      9,
    ];
    const y = 4 / (4 + 2 * 3);
    const expected = [1 - (2 * y * 3) / 4, 2 - (3 * y * 2) / 3, 3 - (4 * y * 1) / 2];
    const [level] = countNgrams(source(text), 11, 1).levels;
    estimateDiscounts(level).forEach((discount, i) => expect(discount).toBeCloseTo(expected[i], 14));
  });

  test('fall back where there are no counts to estimate from', () => {
    const [level] = countNgrams(source([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]), 3, 1).levels;
    expect(estimateDiscounts(level)).toEqual([0.5, 1, 1.5]);
  });
});
