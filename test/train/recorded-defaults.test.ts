import { describe, expect, test } from 'vitest';
import { outdatedDefaults } from '../../src/train/recorded-defaults.ts';
import { resolveOptions } from '../../src/train/settings.ts';

const recorded = (maxIters: number) => ({ ...resolveOptions({ corpus: ['book.txt'], maxIters }) });

describe('with a time limit, defaults that depend on the number of steps are left out', () => {
  test.each([1, 5, 10, 2000])('of a run of %i steps', (maxIters) => {
    const outdated = outdatedDefaults(recorded(maxIters), { minutes: 10 });
    for (const name of ['warmupIters', 'evalInterval', 'lrDecayIters'])
      expect([...outdated], name).toContain(name);
  });
});

test('with the same number of steps, none is', () => {
  expect(outdatedDefaults(recorded(5), { maxIters: 5 })).toEqual(new Set());
});

test('a record of an unknown architecture is left to the check of its options', () => {
  expect(outdatedDefaults({ ...recorded(5), arch: 'gemma' }, { optimizer: 'lion' })).toEqual(new Set());
});
