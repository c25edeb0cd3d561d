/** Options and arguments with validated values. */
import { Argument, Option } from 'commander';
import { UsageError } from '../errors.ts';
import { shownJson } from '../json.ts';
import type { OptionType } from '../values.ts';

const values = new WeakMap<Option | Argument, OptionType<unknown>>();

/** The `OptionType` of an option or argument created here. */
export const valueOf = (made: Option | Argument): OptionType<unknown> | undefined => values.get(made);

/** An option with a value: `option('--n-layer <n>', 'number of blocks', wholeNumber({ min: 1 }), 6)`. */
export function option<T>(
  flags: string,
  description: string,
  value: OptionType<T>,
  defaultValue?: T,
): Option {
  const made = new Option(flags, description);
  const name = made.long ?? flags;
  values.set(made, value);
  made.argParser((text) => {
    if (value.completes === 'path') refuseFlag(name, text);
    return readValue(name, value, text);
  });
  if (defaultValue !== undefined) made.default(defaultValue);
  return made;
}

/** An option that may be repeated; its values in order. */
export function repeatable<T>(flags: string, description: string, value: OptionType<T>): Option {
  const made = new Option(flags, description);
  const name = made.long ?? flags;
  values.set(made, value);
  return made.argParser((text, previous: T[] | undefined) => [
    ...(previous ?? []),
    readValue(name, value, text),
  ]);
}

/** A positional argument: `argument('<corpus>', 'text to train on', filePath)`; `<corpus...>` accepts several. */
export function argument<T>(name: string, description: string, value: OptionType<T>): Argument {
  const made = new Argument(name, description);
  values.set(made, value);
  return made.argParser((text: string, previous: unknown): unknown => {
    const one = readValue(made.name(), value, text);
    return made.variadic ? [...((previous as T[] | undefined) ?? []), one] : one;
  });
}

const environment = new WeakMap<Option, { readonly variable: string; readonly ignored: readonly string[] }>();

/**
 * Lets an environment variable set the option if no flag does.
 *
 * @param ignored values for other commands, which leave this one's default
 */
export function orVariable(made: Option, variable: string, ignored: readonly string[] = []): Option {
  environment.set(made, { variable, ignored });
  return made;
}

/** The environment variable of an option. */
export const variableOf = (made: Option): string | undefined => environment.get(made)?.variable;

/** Whether the variable of an option has a value that is only for other commands. */
export const ignoresValue = (made: Option, text: string): boolean =>
  environment.get(made)?.ignored.includes(text) === true;

/** `-o --overwrite` would write into a folder of that name. */
function refuseFlag(name: string, text: string): void {
  if (!/^-./.test(text)) return;
  throw new UsageError('bad-option-value', `${name}: ${shownJson(text)} starts with a dash, as flags do`, {
    hint: `is the path after ${name} missing? Write a path that starts with a dash as ./${text}`,
  });
}

function readValue<T>(name: string, value: OptionType<T>, text: string): T {
  const result = value.read(text);
  if (result === undefined) {
    const hint = value.hint?.(text);
    throw new UsageError(
      'bad-option-value',
      `${name}: ${shownJson(text)} is not ${value.expected}`,
      hint === undefined ? undefined : { hint },
    );
  }
  return result;
}
