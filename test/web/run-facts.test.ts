/** What the page that trains in a browser says of a run, and how it writes numbers and names folders. */
import { describe, expect, test } from 'vitest';
import { folderFor } from '../../src/web/files.ts';
import type { RunSummary } from '../../src/web/messages.ts';
import { duration, lossText } from '../../src/web/numbers.ts';
import { cautionAbout, factsOf } from '../../src/web/run-facts.ts';

const run: RunSummary = {
  folder: 'book',
  parameters: 12_345,
  tokens: 1000,
  vocabulary: 30,
  engine: 'wasm relaxed, 2 threads',
  layers: 1,
  heads: 2,
  channels: 32,
  blockSize: 64,
  steps: 300,
  epochs: 19.7,
  expectedSeconds: 58,
  isLimitedByText: false,
};
const minute = { seconds: 60, name: '1 minute' };

test('counts have the right form of their noun', () => {
  expect(factsOf(run)).toBe(
    '12.3K parameters in 1 layer of 32 channels and 2 heads · context of 64 tokens · vocabulary of 30 tokens · 1K tokens to train on · wasm relaxed, 2 threads',
  );
});

describe('a run with a time limit', () => {
  test('that keeps it needs no caution', () => {
    expect(cautionAbout(run, minute)).toBeUndefined();
    expect(cautionAbout({ ...run, isLimitedByText: true }, minute)).toBeUndefined();
    expect(cautionAbout({ ...run, expectedSeconds: 100 }, undefined)).toBeUndefined();
  });

  test('that is shorter says why', () => {
    expect(cautionAbout({ ...run, isLimitedByText: true }, { seconds: 180, name: '3 minutes' })).toBe(
      'It takes about 58 s, not 3 minutes: the text is short, and after 20 epochs the model would begin to memorize it.',
    );
  });

  test('whose model cannot fit says so', () => {
    expect(cautionAbout({ ...run, steps: 1, expectedSeconds: 90 }, minute)).toBe(
      'This model is too large for 1 minute: a single step with its evaluation takes about 1 min 30 s.',
    );
    expect(cautionAbout({ ...run, expectedSeconds: 90 }, minute)).toMatch(
      /^It takes about 1 min 30 s, not 1 minute/,
    );
  });
});

test.each([
  [9.6, '10 s'],
  [60, '1 min'],
  [65, '1 min 05 s'],
])('%d seconds are %s', (seconds, shown) => {
  expect(duration(seconds)).toBe(shown);
});

test('a huge loss is short', () => {
  expect(lossText(2.71849)).toBe('2.718');
  expect(lossText(6_818_596_663_590_912)).toBe('6.82e+15');
});

test.each([
  [['book.txt'], 'book'],
  [['a.txt', 'b.txt'], 'a'],
  [['my book (1).tar.txt'], 'my-book-1-.tar'],
  [['book'], 'book-2'],
  [['書.md'], '書'],
  [['.txt'], 'txt'],
  [['$$.txt'], 'model'],
])('the folder of a run on %j is %s', (texts, folder) => {
  expect(folderFor(texts)).toBe(folder);
});
