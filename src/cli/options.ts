/**
 * What a flag or an argument accepts. A `Value` knows how to read itself from text and how to say what it wants, so that
 * every refusal names the flag, what was given and what is allowed:
 *
 *     --n-layer: "abc" is not a whole number of at least 1
 */
import { Argument, Option } from 'commander';
import { UsageError } from '../errors.ts';
import { shownJson } from '../json.ts';

export interface Value<T> {
  /** What is accepted, so that "… is not ⟨expected⟩" is a sentence. */
  readonly expected: string;
  /** The value, or undefined if the text is something else. */
  read(text: string): T | undefined;
  /** What a shell can offer here: one of these words, or the name of a file. */
  readonly completes?: readonly string[] | 'path';
  /** What to do instead, about a text that is not accepted. */
  hint?(text: string): string;
}

const values = new WeakMap<Option | Argument, Value<unknown>>();

/** What an option or argument that was made here accepts. */
export const valueOf = (made: Option | Argument): Value<unknown> | undefined => values.get(made);

/** A flag with a value: `option('--n-layer <n>', 'number of blocks', wholeNumber({ min: 1 }), 6)`. */
export function option<T>(flags: string, description: string, value: Value<T>, defaultValue?: T): Option {
  const made = new Option(flags, description);
  const name = made.long ?? flags;
  values.set(made, value);
  made.argParser((text) => readValue(name, value, text));
  if (defaultValue !== undefined) made.default(defaultValue);
  return made;
}

/** A flag that may be given several times: its values, in order. */
export function repeatable<T>(flags: string, description: string, value: Value<T>): Option {
  const made = new Option(flags, description);
  const name = made.long ?? flags;
  values.set(made, value);
  return made.argParser((text, previous: T[] | undefined) => [
    ...(previous ?? []),
    readValue(name, value, text),
  ]);
}

/** A positional argument with a checked value: `argument('<corpus>', 'text to train on', filePath)`; `<corpus...>` takes several. */
export function argument<T>(name: string, description: string, value: Value<T>): Argument {
  const made = new Argument(name, description);
  values.set(made, value);
  return made.argParser((text: string, previous: unknown): unknown => {
    const one = readValue(name, value, text);
    return made.variadic ? [...((previous as T[] | undefined) ?? []), one] : one;
  });
}

const environment = new WeakMap<Option, string>();

/** Lets a variable of the environment give the option's value where no flag does. */
export function orVariable(made: Option, variable: string): Option {
  environment.set(made, variable);
  return made;
}

/** The variable that may give an option's value. */
export const variableOf = (made: Option): string | undefined => environment.get(made);

function readValue<T>(name: string, value: Value<T>, text: string): T {
  const result = value.read(text);
  if (result === undefined) {
    const hint = value.hint?.(text);
    throw new UsageError(
      `${name}: ${shownJson(text)} is not ${value.expected}`,
      hint === undefined ? undefined : { hint },
    );
  }
  return result;
}

/** 1000, 1_000 or 1e3. Up to 2⁵³ − 1, the last whole number a JavaScript number can tell from its neighbours. */
export function wholeNumber(range: { min?: number; max?: number } = {}): Value<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = range;
  return {
    expected: `a whole number ${range.max === undefined ? `of at least ${min}` : `from ${min} to ${max}`}`,
    read(text) {
      const value = readNumber(text);
      return value !== undefined && Number.isSafeInteger(value) && value >= min && value <= max
        ? value
        : undefined;
    },
  };
}

/** A finite number such as 0.1, 6e-4 or 1_000.5. `above` excludes its bound, `min` and `max` include theirs. */
export function number(
  range: { min?: number; above?: number; max?: number; below?: number } = {},
): Value<number> {
  const { min = -Infinity, above = -Infinity, max = Infinity, below = Infinity } = range;
  const bounds = [
    range.min !== undefined && `of at least ${min}`,
    range.above !== undefined && `above ${above}`,
    range.max !== undefined && `of at most ${max}`,
    range.below !== undefined && `below ${below}`,
  ].filter((bound) => bound !== false);
  return {
    expected: ['a number', bounds.join(' and ')].join(' ').trimEnd(),
    read(text) {
      const value = readNumber(text);
      const accepted = value !== undefined && value >= min && value > above && value <= max && value < below;
      return accepted ? value : undefined;
    },
  };
}

/** A share of something: 0 to 1, both included. */
export const fraction: Value<number> = { ...number({ min: 0, max: 1 }), expected: 'a number from 0 to 1' };

/** The seed of every random draw. */
export const seed: Value<number> = wholeNumber({ min: 0 });

/** One of a few words. */
export function choice<const T extends string>(words: readonly T[]): Value<T> {
  return {
    expected: `one of ${words.join(', ')}`,
    read: (text) => words.find((word) => word === text),
    completes: words,
  };
}

/** Any text, an empty one too. */
export const anyText: Value<string> = { expected: 'text', read: (text) => text };

export const nonEmptyText: Value<string> = {
  expected: 'a text of at least one character',
  read: (text) => (text === '' ? undefined : text),
};

/** A file or folder name. Whether it exists is found out by using it: checking first would only race. */
export const filePath: Value<string> = {
  expected: 'a path',
  read: (text) => (text === '' || text.includes('\0') ? undefined : text),
  completes: 'path',
};

/** A decimal number, digits grouped with single underscores at will. Number() alone takes "", " 1", "0x10" and "Infinity" too. */
function readNumber(text: string): number | undefined {
  if (!/^[+-]?(\d+(_\d+)*(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i.test(text)) return undefined;
  const value = Number(text.replaceAll('_', ''));
  return Number.isFinite(value) ? value : undefined;
}
