/** Validates JSON objects with a rule per field, for files whose fields are all known. */
import { isJsonObject, shownJson } from './json.ts';

/** `is` validates a value, `expected` describes it for messages. */
export interface Rule {
  readonly is: (value: unknown) => boolean;
  readonly expected: string;
}
/** One rule per field of T, enforced by the compiler. */
export type Rules<T> = { readonly [F in keyof Required<T>]: Rule };

const isNumber = (value: unknown): value is number => Number.isFinite(value);

export const number: Rule = { is: isNumber, expected: 'a number' };
export const belowOne: Rule = {
  is: (value) => isNumber(value) && value >= 0 && value < 1,
  expected: 'a number of at least 0 and below 1',
};
export const amount: Rule = {
  is: (value) => isNumber(value) && value >= 0,
  expected: 'a number of at least 0',
};
export const count: Rule = {
  is: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  expected: 'a whole number',
};
export const positive: Rule = {
  is: (value) => Number.isSafeInteger(value) && (value as number) >= 1,
  expected: 'a whole number of at least 1',
};
export const text: Rule = { is: (value) => typeof value === 'string', expected: 'a string' };
export const flag: Rule = { is: (value) => typeof value === 'boolean', expected: 'true or false' };
export const object: Rule = { is: isJsonObject, expected: 'an object' };

export const oneOf = (values: readonly string[]): Rule => ({
  is: (value) => values.includes(value as string),
  expected: `one of ${values.join(', ')}`,
});
export const orNull = ({ is, expected }: Rule): Rule => ({
  is: (value) => value === null || is(value),
  expected: `${expected} or null`,
});
export const optional = ({ is, expected }: Rule): Rule => ({
  is: (value) => value === undefined || is(value),
  expected,
});
export const listOf = ({ is, expected }: Rule): Rule => ({
  is: (value) => Array.isArray(value) && value.every(is),
  expected: `a list in which each entry is ${expected}`,
});

/** @param fail throws; receives a message such as '"step" is -1, not a whole number' */
export function checkFields(
  values: Readonly<Record<string, unknown>>,
  rules: Readonly<Record<string, Rule>>,
  fail: (what: string) => never,
): void {
  for (const [field, { is, expected }] of Object.entries(rules)) {
    const value = Object.hasOwn(values, field) ? values[field] : undefined;
    if (!is(value)) fail(`"${field}" is ${shownJson(value)}, not ${expected}`);
  }
}
