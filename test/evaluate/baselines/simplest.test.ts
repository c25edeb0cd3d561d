import { expect, test } from 'vitest';
import { splitTokens } from '../../../src/data/token-source.ts';
import { baselineAhead } from '../../../src/evaluate/baselines/simplest.ts';

// A token tells the next one, so a pair is much easier to predict than a token.
const cycle = splitTokens(
  Uint16Array.from({ length: 900 }, (_, i) => i % 3),
  0.1,
);

test('the simplest baseline that a model does not beat is named', () => {
  const unigram = baselineAhead(1.2, cycle, 3);
  expect(unigram).toMatchObject({ name: 'unigram' });
  expect(unigram?.loss).toBeCloseTo(Math.log(3), 3);
  const bigram = baselineAhead(1, cycle, 3);
  expect(bigram).toMatchObject({ name: 'bigram' });
  expect(bigram?.loss).toBeLessThan(0.02);
});

test('a model with exactly the loss of a baseline does not beat it', () => {
  const { loss } = baselineAhead(1, cycle, 3)!;
  expect(baselineAhead(loss, cycle, 3)).toEqual({ name: 'bigram', loss });
  expect(baselineAhead(0.99 * loss, cycle, 3)).toBeUndefined();
});

test('the tokens of a long text are not counted', () => {
  const long = { length: 2e9, slice: () => expect.unreachable('read') };
  expect(baselineAhead(10, { ...cycle, train: long }, 3)).toBeUndefined();
});
