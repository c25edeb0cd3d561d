/** Sets an option from a source other than the command line, unless the command line sets it. */
import type { Argument, Command, Option } from 'commander';
import { UsageError } from '../errors.ts';
import { flagOf } from '../flag-name.ts';
import { shownJson } from '../json.ts';
import { commandLineTerms } from './command-line-terms.ts';

/** @throws UsageError if the option does not accept the value, even if a flag overrides it */
export function applyOption(
  command: Command,
  option: Option,
  value: unknown,
  source: 'env' | 'config',
): void {
  const isOpen = (name: string): boolean =>
    ['default', undefined].includes(command.getOptionValueSource(name));
  const parsed = parse(option, value); // validated even if a flag overrides it
  const name = option.attributeName();
  const conflicting = excluding(command, option);
  if (isOpen(name) && conflicting.every(isOpen)) command.setOptionValueWithSource(name, parsed, source);
}

/** @throws UsageError if two options of a file cannot be combined */
export function refuseConflicts(command: Command, names: ReadonlySet<string>): void {
  for (const option of command.options) {
    const other = excluding(command, option).find((each) => names.has(each));
    if (other === undefined || !names.has(option.attributeName())) continue;
    throw new UsageError(
      'conflicting-options',
      `${option.long ?? option.flags} and ${flagOf(other)} cannot be combined`,
      { hint: 'omit one of them' },
    );
  }
}

/** Options that conflict with this one. */
function excluding(command: Command, option: Option): string[] {
  const conflicts = (one: Option): readonly string[] =>
    (one as Option & { readonly conflictsWith: readonly string[] }).conflictsWith;
  const others = command.options.filter((other) => conflicts(other).includes(option.attributeName()));
  return [...conflicts(option), ...others.map((other) => other.attributeName())];
}

/** Parses a value as if it had been typed after the flag. */
function parse(option: Option, value: unknown): unknown {
  const name = option.long ?? option.flags;
  if (typeof value === 'boolean' && !option.required) return value;
  if (option.isBoolean()) return refuseValue(name, value, 'true or false');
  const texts = textsOf(name, value);
  if (option.variadic) return texts.map((text) => option.parseArg?.(text, undefined) ?? text);
  const parsed = readAll(option, texts);
  return Array.isArray(value) && !Array.isArray(parsed) ? refuseValue(name, value, 'a single value') : parsed;
}

/** Parses several texts in turn with an option or argument. */
export const readAll = (target: Option | Argument, texts: readonly string[]): unknown =>
  texts.reduce<unknown>((before, text) => target.parseArg?.(text, before) ?? text, undefined);

/** A value or list of values as text. */
export const textsOf = (name: string, value: unknown): string[] =>
  (Array.isArray(value) ? (value as unknown[]) : [value]).map((each) =>
    typeof each === 'string' || typeof each === 'number' || typeof each === 'boolean'
      ? String(each)
      : refuseValue(name, value, 'a string, a number, true or false'),
  );

function refuseValue(name: string, value: unknown, wanted: string): never {
  throw new UsageError('bad-option-value', `${name}: ${shownJson(value)} is not ${wanted}`);
}

/** Prefixes the error of an invalid value with its source. */
export function naming<T>(source: string, apply: () => T): T {
  try {
    return apply();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const { message, hint } = error.in(commandLineTerms);
    throw new UsageError(error.code, `${source}: ${message}`, hint === undefined ? {} : { hint });
  }
}
