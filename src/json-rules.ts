/** What the fields of a JSON object must be, as a table: for files whose every field is known. */
import { isJsonObject, shownJson } from './json.ts';

/** What a value must be: `is` tells, `expected` says it. */
export interface Rule {
  readonly is: (value: unknown) => boolean;
  readonly expected: string;
}
/** One for every field of T: a forgotten one does not compile. */
export type Rules<T> = { readonly [F in keyof Required<T>]: Rule };

const isNumber = (value: unknown): value is number => Number.isFinite(value);

export const number: Rule = { is: isNumber, expected: 'a number' };
export const share: Rule = {
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
export const text: Rule = { is: (value) => typeof value === 'string', expected: 'a text' };
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
  expected: `a list, each of it ${expected}`,
});

/** @param fail throws, told what is wrong: '"step" is -1, not a whole number' */
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
