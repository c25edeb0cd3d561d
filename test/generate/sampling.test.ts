import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Sampler, type Candidate, type SamplingOptions } from '../../src/generate/sampling.ts';

const plain = { temperature: 1, topK: 0, topP: 1 };
const candidates = (logits: readonly number[], options: SamplingOptions, banned?: Set<number>): Candidate[] =>
  new Sampler(logits.length, options, banned).candidates(logits);

interface GoldenCase {
  readonly options: Partial<SamplingOptions>;
  readonly banned: readonly number[];
  readonly logits: readonly number[];
  readonly prompt: readonly number[];
  readonly text: readonly number[];
  readonly probabilities: Readonly<Record<string, number>>;
}
const golden: { readonly vocabSize: number; readonly cases: readonly GoldenCase[] } = JSON.parse(
  readFileSync(new URL('../fixtures/sampling.json', import.meta.url), 'utf8'),
);

describe('the candidates of transformers, for the same logits and filters', () => {
  test.each(
    golden.cases.map((each) => [JSON.stringify({ ...each.options, banned: each.banned }), each] as const),
  )('%s', (_name, { options, banned, logits, prompt, text, probabilities }) => {
    const sampler = new Sampler(golden.vocabSize, { ...plain, ...options }, new Set(banned), prompt);
    for (const id of text) sampler.accept(id);
    const found = sampler.candidates(logits);
    expect(found.map(({ id }) => id).sort((a, b) => a - b)).toEqual(Object.keys(probabilities).map(Number));
    for (const { id, probability } of found) expect(probability).toBeCloseTo(probabilities[id], 10);
  });
});

describe('for any logits and filters', () => {
  const someLogits = fc.array(fc.double({ min: -20, max: 20, noNaN: true }), { minLength: 2, maxLength: 60 });
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  const someOptions = fc.record({
    temperature: fc.double({ min: 0.05, max: 5, noNaN: true }),
    topK: fc.integer({ min: 0, max: 70 }),
    topP: share,
    minP: share,
    typicalP: share,
    repetitionPenalty: fc.double({ min: 0.5, max: 2, noNaN: true }),
    frequencyPenalty: fc.double({ min: -2, max: 2, noNaN: true }),
    presencePenalty: fc.double({ min: -2, max: 2, noNaN: true }),
  });
  const cases = fc.tuple(someLogits, someOptions, fc.array(fc.nat({ max: 59 }), { maxLength: 8 }));
  const check = (
    property: (logits: number[], options: Required<SamplingOptions>, history: number[]) => void,
  ): void =>
    fc.assert(
      fc.property(cases, ([logits, options, history]) =>
        property(
          logits,
          options,
          history.filter((id) => id < logits.length),
        ),
      ),
      { numRuns: 300, seed: 1 },
    );

  test('at least one candidate remains, and the probabilities sum to 1', () =>
    check((logits, options, history) => {
      const found = new Sampler(logits.length, options, new Set([0]), history).candidates(logits);
      expect(found.length).toBeGreaterThan(0);
      expect(found.some(({ id }) => id === 0)).toBe(false);
      expect(found.reduce((sum, { probability }) => sum + probability, 0)).toBeCloseTo(1, 9);
      expect(found.every(({ probability }, i) => i === 0 || probability <= found[i - 1].probability)).toBe(
        true,
      );
    }));

  test('each filter leaves a subset of the candidates', () =>
    check((logits, options, history) => {
      const ids = (each: SamplingOptions): Set<number> =>
        new Set(new Sampler(logits.length, each, undefined, history).candidates(logits).map(({ id }) => id));
      const all = ids({ ...options, typicalP: 1 });
      expect([...ids(options)].every((id) => all.has(id))).toBe(true);
      const wider = ids({ ...options, typicalP: 1, minP: 0 });
      expect([...all].every((id) => wider.has(id))).toBe(true);
    }));

  test('all filters but typical-p keep the likeliest tokens', () =>
    check((logits, options) => {
      const filters = {
        ...options,
        typicalP: 1,
        repetitionPenalty: 1,
        frequencyPenalty: 0,
        presencePenalty: 0,
      };
      const found = candidates(logits, filters);
      const dropped = logits.filter((_, id) => !found.some((each) => each.id === id));
      // exp may round two logits to one weight
      expect(Math.max(...dropped)).toBeLessThanOrEqual(
        Math.min(...found.map(({ id }) => logits[id])) + 1e-12,
      );
    }));

  test('the sampled token is one of the candidates', () =>
    check((logits, options, history) => {
      const sampler = new Sampler(logits.length, options, undefined, history);
      const ids = new Set(sampler.candidates(logits).map(({ id }) => id));
      for (const uniform of [0, 0.25, 0.5, 0.999, 1 - 2 ** -32])
        expect(ids.has(sampler.draw(logits, uniform))).toBe(true);
    }));
});

const logits = [Math.log(0.5), Math.log(0.1), Math.log(0.3), Math.log(0.1)];

describe('candidates', () => {
  test('are the softmax', () => {
    const found = candidates(logits, plain);
    expect(found.map(({ id }) => id)).toEqual([0, 2, 1, 3]);
    found.forEach(({ probability }, i) => expect(probability).toBeCloseTo([0.5, 0.3, 0.1, 0.1][i], 12));
  });
  test('are sorted by probability, ties by id', () => {
    expect(candidates(logits, { ...plain, topK: 3 }).map(({ id }) => id)).toEqual([0, 2, 1]);
    expect(candidates(logits, { ...plain, topP: 0.95 }).map(({ id }) => id)).toEqual([0, 2, 1, 3]);
  });
  test('are those of a full sort, for any filter', () => {
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
    expect(found[0].probability / found[1].probability).toBeCloseTo((0.5 / 0.3) ** 2, 10);
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
  test('banned tokens are excluded', () => {
    expect(candidates(logits, plain, new Set([0])).map(({ id }) => id)).toEqual([2, 1, 3]);
    expect(candidates(logits, { ...plain, temperature: 0 }, new Set([0]))[0].id).toBe(2);
  });
});

describe('a sampler', () => {
  test.each([
    ['everything', plain, new Set<number>()],
    ['top-k', { ...plain, topK: 3 }, new Set<number>()],
    ['top-p', { ...plain, topP: 0.85 }, new Set<number>()],
    ['min-p', { ...plain, minP: 0.5 }, new Set<number>()],
    ['typical-p', { ...plain, typicalP: 0.5 }, new Set<number>()],
    ['low temperature', { ...plain, temperature: 0.5 }, new Set<number>()],
    ['a banned token', plain, new Set([2])],
    ['greedy', { ...plain, temperature: 0 }, new Set<number>()],
  ])('samples each candidate with its probability: %s', (_name, options, banned) => {
    const sampler = new Sampler(4, options, banned);
    const draws = 10_000;
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < draws; i++) counts[sampler.draw(logits, (i + 0.5) / draws)]++;
    const expected = [0, 0, 0, 0];
    for (const { id, probability } of candidates(logits, options, banned)) expected[id] = draws * probability;
    counts.forEach((count, id) => expect(Math.abs(count - expected[id])).toBeLessThan(1.5));
  });
  test('samples a valid token even for a random number close to 1', () => {
    const last = 1 - 2 ** -53;
    expect(new Sampler(4, plain, new Set([3])).draw(logits, last)).toBe(2);
    expect(new Sampler(4, { ...plain, topK: 2 }).draw(logits, last)).toBe(2);
  });
});
