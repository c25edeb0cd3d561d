/**
 * Types of option values. An `OptionType` parses text from a flag, validates JSON from a file, and describes what it accepts,
 * so that every error is a sentence:
 *
 *     --n-layer: "abc" is not a whole number of at least 1
 */
import type { Rule } from './json-rules.ts';

export interface OptionType<T> extends Rule {
  /** The value, or undefined if the text is invalid. */
  read(text: string): T | undefined;
  /** Shell completion: one of these words, or a path. */
  readonly completes?: readonly string[] | 'path';
  /** Advice for an invalid text. */
  hint?(text: string): string;
}

/** 1000, 1_000 or 1e3, up to 2⁵³ − 1, the largest safe integer. */
export function wholeNumber(range: { min?: number; max?: number } = {}): OptionType<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = range;
  const is = (value: unknown): value is number =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
  return numeric(
    is,
    `a whole number ${range.max === undefined ? `of at least ${min}` : `from ${min} to ${max}`}`,
  );
}

/** A finite number such as 0.1, 6e-4 or 1_000.5. `above` is an exclusive bound, `min` and `max` are inclusive. */
export function number(
  range: { min?: number; above?: number; max?: number; below?: number } = {},
): OptionType<number> {
  const { min = -Infinity, above = -Infinity, max = Infinity, below = Infinity } = range;
  const bounds = [
    range.min !== undefined && `of at least ${min}`,
    range.above !== undefined && `above ${above}`,
    range.max !== undefined && `at most ${max}`,
    range.below !== undefined && `below ${below}`,
  ].filter((bound) => bound !== false);
  const is = (value: unknown): value is number =>
    typeof value === 'number' &&
    Number.isFinite(value) &&
    value >= min &&
    value > above &&
    value <= max &&
    value < below;
  return numeric(
    is,
    ['a number', bounds.join(' and ').replace(/^at most/, 'of at most')].join(' ').trimEnd(),
  );
}

const numeric = (is: (value: unknown) => value is number, expected: string): OptionType<number> => ({
  is,
  expected,
  read(text) {
    const value = readNumber(text);
    return is(value) ? value : undefined;
  },
});

export const trueOrFalse: OptionType<boolean> = {
  expected: 'true or false',
  is: (value) => typeof value === 'boolean',
  read: (text) => ({ true: true, false: false })[text],
};

/** A number in [0, 1]. */
export const fraction: OptionType<number> = {
  ...number({ min: 0, max: 1 }),
  expected: 'a number from 0 to 1',
};

/** Seed of all random numbers. */
export const seed: OptionType<number> = wholeNumber({ min: 0 });

/** One of several words. */
export function choice<const T extends string>(words: readonly T[]): OptionType<T> {
  return {
    expected: `one of ${words.join(', ')}`,
    is: (value) => words.includes(value as T),
    read: (text) => words.find((word) => word === text),
    completes: words,
  };
}

const isText = (value: unknown): boolean => typeof value === 'string';

/** Any text, including an empty one. */
export const anyText: OptionType<string> = { expected: 'text', is: isText, read: (text) => text };

export const nonEmptyText: OptionType<string> = {
  expected: 'non-empty text',
  is: (value) => isText(value) && value !== '',
  read: (text) => (text === '' ? undefined : text),
};

const isPath = (text: string): boolean => text !== '' && !text.includes('\0');

/** Path of a file or folder. Whether it exists shows when it is used; checking first would be a race. */
export const filePath: OptionType<string> = {
  expected: 'a path',
  is: (value) => typeof value === 'string' && isPath(value),
  read: (text) => (isPath(text) ? text : undefined),
  completes: 'path',
};

/**
 * A decimal number, optionally with digits grouped by underscores. Number() would also accept "", " 1", "0x10" and
 * "Infinity".
 */
function readNumber(text: string): number | undefined {
  if (!/^[+-]?(\d+(_\d+)*(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text)) return undefined;
  const value = Number(text.replaceAll('_', ''));
  return Number.isFinite(value) ? value : undefined;
}
