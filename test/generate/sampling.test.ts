import { describe, expect, test } from 'vitest';
import { candidates, Sampler } from '../../src/generate/sampling.ts';

const plain = { temperature: 1, topK: 0, topP: 1 };
const logits = [Math.log(0.5), Math.log(0.1), Math.log(0.3), Math.log(0.1)];

describe('candidates', () => {
  test('are the softmax', () => {
    const found = candidates(logits, plain);
    expect(found.map(({ id }) => id)).toEqual([0, 1, 2, 3]);
    found.forEach(({ probability }, i) => expect(probability).toBeCloseTo([0.5, 0.1, 0.3, 0.1][i], 12));
  });
  test('come likeliest first, ties by id, where a filter needs the order', () => {
    expect(candidates(logits, { ...plain, topK: 3 }).map(({ id }) => id)).toEqual([0, 2, 1]);
    expect(candidates(logits, { ...plain, topP: 0.95 }).map(({ id }) => id)).toEqual([0, 2, 1, 3]);
  });
  test('are the same as by sorting everything, for any filter', () => {
    const many = Array.from({ length: 600 }, (_, i) => 6 * Math.sin(i * i));
    const sorted = many.map((_, id) => id).sort((a, b) => many[b] - many[a] || a - b);
    for (const k of [1, 2, 7, 100, 300]) {
      const found = candidates(many, { ...plain, topK: k }).map(({ id }) => id);
      expect(found).toEqual(sorted.slice(0, k));
    }
    const total = many.reduce((sum, x) => sum + Math.exp(x), 0);
    for (const p of [0.1, 0.5, 0.9, 0.999, 0.9999999]) {
      const found = candidates(many, { ...plain, topP: p }).map(({ id }) => id);
      expect(found).toEqual(sorted.slice(0, found.length));
      const reached = (n: number) =>
        sorted.slice(0, n).reduce((sum, id) => sum + Math.exp(many[id]), 0) / total;
      expect(reached(found.length)).toBeGreaterThanOrEqual(p - 1e-12);
      expect(reached(found.length - 1)).toBeLessThan(p);
    }
  });
  test('temperature 0 is greedy', () => {
    expect(candidates(logits, { ...plain, temperature: 0 })).toEqual([{ id: 0, probability: 1 }]);
  });
  test('temperature 0.5 squares the odds', () => {
    const found = candidates(logits, { ...plain, temperature: 0.5 });
    expect(found[0].probability / found[2].probability).toBeCloseTo((0.5 / 0.3) ** 2, 10);
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
    expect(candidates(logits, plain, new Set([0])).map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(candidates(logits, { ...plain, temperature: 0 }, new Set([0]))[0].id).toBe(2);
  });
});

describe('a sampler', () => {
  test.each([
    ['everything', plain, new Set<number>()],
    ['top-k', { ...plain, topK: 3 }, new Set<number>()],
    ['top-p', { ...plain, topP: 0.85 }, new Set<number>()],
    ['low temperature', { ...plain, temperature: 0.5 }, new Set<number>()],
    ['a banned token', plain, new Set([2])],
    ['greedy', { ...plain, temperature: 0 }, new Set<number>()],
  ])('takes each candidate as often as it should: %s', (_name, options, banned) => {
    const sampler = new Sampler(4, options, banned);
    let reached = 0;
    for (const { id, probability } of candidates(logits, options, banned)) {
      expect(sampler.draw(logits, reached + 1e-9)).toBe(id);
      reached += probability;
      expect(sampler.draw(logits, reached - 1e-9)).toBe(id);
    }
    expect(reached).toBeCloseTo(1, 12);
  });
  test('draws a token that can be drawn however close to 1 the number is', () => {
    const last = 1 - 2 ** -53;
    expect(new Sampler(4, plain, new Set([3])).draw(logits, last)).toBe(2);
    expect(new Sampler(4, { ...plain, topK: 2 }).draw(logits, last)).toBe(2);
  });
});
