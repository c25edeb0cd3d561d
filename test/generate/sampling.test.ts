import { describe, expect, test } from 'vitest';
import { candidates, draw } from '../../src/generate/sampling.ts';

const plain = { temperature: 1, topK: 0, topP: 1 };
const logits = [Math.log(0.5), Math.log(0.1), Math.log(0.3), Math.log(0.1)];

describe('candidates', () => {
  test('are the softmax, likeliest first, ties by id', () => {
    const found = candidates(logits, plain);
    expect(found.map(({ id }) => id)).toEqual([0, 2, 1, 3]);
    found.forEach(({ probability }, i) => expect(probability).toBeCloseTo([0.5, 0.3, 0.1, 0.1][i], 12));
  });
  test('temperature 0 is greedy', () => {
    expect(candidates(logits, { ...plain, temperature: 0 })).toEqual([{ id: 0, probability: 1 }]);
  });
  test('temperature 0.5 squares the odds', () => {
    const [first, second] = candidates(logits, { ...plain, temperature: 0.5 });
    expect(first.probability / second.probability).toBeCloseTo((0.5 / 0.3) ** 2, 10);
  });
  test('top-k keeps k', () => {
    expect(candidates(logits, { ...plain, topK: 2 })).toEqual([
      { id: 0, probability: expect.closeTo(0.625, 12) },
      { id: 2, probability: expect.closeTo(0.375, 12) },
    ]);
    expect(candidates(logits, { ...plain, topK: 99 }).length).toBe(4);
  });
  test('top-p keeps the smallest set that reaches p, at least one', () => {
    expect(candidates(logits, { ...plain, topP: 0.79 }).map(({ id }) => id)).toEqual([0, 2]);
    expect(candidates(logits, { ...plain, topP: 0.81 }).map(({ id }) => id)).toEqual([0, 2, 1]);
    expect(candidates(logits, { ...plain, topP: 0 }).length).toBe(1);
  });
  test('banned tokens are never there', () => {
    expect(candidates(logits, plain, new Set([0])).map(({ id }) => id)).toEqual([2, 1, 3]);
    expect(candidates(logits, { ...plain, temperature: 0 }, new Set([0]))[0].id).toBe(2);
  });
});

test('draw takes each candidate as often as it should', () => {
  const from = candidates(logits, plain);
  expect([0, 0.499, 0.501, 0.799, 0.801, 0.999999].map((u) => draw(from, u))).toEqual([0, 0, 2, 2, 1, 3]);
  expect(draw([{ id: 5, probability: 0.999 }], 0.9999)).toBe(5);
});
