import { describe, expect, test } from 'vitest';
import { attempt, errorCodes, UsageError, UserError } from '../src/errors.ts';
import { libraryTerms, optionName } from '../src/messages.ts';
import { readPage } from './docs/pages.ts';

describe('a UserError', () => {
  test('names options as the library does, or as the command line asks', () => {
    const error = new UserError('bad-option-value', `${optionName('nHead')} is 0`, {
      hint: `give a larger ${optionName('nHead')}`,
    });
    expect(error).toMatchObject({ message: 'nHead is 0', hint: 'give a larger nHead' });
    expect(error.in({ ...libraryTerms, option: () => '--n-head' })).toEqual({
      message: '--n-head is 0',
      hint: 'give a larger --n-head',
    });
  });

  test('is identified by its code, which a UsageError has as well', () => {
    expect(new UserError('file-not-found', 'x').code).toBe('file-not-found');
    expect(new UsageError('missing-argument', 'x')).toMatchObject({ code: 'missing-argument' });
  });

  test('makes `attempt` return undefined, while a bug is rethrown', () => {
    const failing = (error: Error) => () => {
      throw error;
    };
    expect(attempt(failing(new UserError('damaged-file', 'x')))).toBeUndefined();
    expect(() => attempt(failing(new TypeError('bug')))).toThrow(TypeError);
  });
});

test('docs/library.md describes every code of errors, and no other', () => {
  const rows = readPage('docs/library.md').matchAll(/^\| `([a-z-]+)` +\| (.*?) +\|$/gm);
  expect(Object.fromEntries(Array.from(rows, ([, code, meaning]) => [code, meaning]))).toEqual(errorCodes);
});
