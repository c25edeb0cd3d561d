/** Sampling parameters, shared by flags and interactive mode. */
import type { Command, Option } from 'commander';
import type { SamplingOptions } from '../generate/sampling.ts';
import { kebab } from '../flag-name.ts';
import { option } from './options.ts';
import { fraction, nonEmptyText, number, seed, wholeNumber, type OptionType } from '../values.ts';

export interface SamplingSettings extends Required<SamplingOptions> {
  readonly maxTokens: number;
  readonly stop: readonly string[];
  readonly seed: number;
}
export type SettingName = keyof SamplingSettings;

interface Setting<T> {
  readonly short?: string;
  readonly placeholder: string;
  readonly description: string;
  readonly value: OptionType<T>;
  readonly initial?: T;
}

const setting = <T>(made: Setting<T>): Setting<T> => made;

/** Command-line text with escapes: `\n`, `\t`, `\r` and `\\`. */
export const escapedText: OptionType<string> = {
  ...nonEmptyText,
  read: (text) =>
    text === ''
      ? undefined
      : text
          .toWellFormed()
          .replace(/\\([ntr\\])/g, (_all, letter: string) => ({ n: '\n', t: '\t', r: '\r' })[letter] ?? '\\'),
};

/** The inverse of `escapedText`. */
export const escaped = (text: string): string => JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"');

const positive = number({ above: 0 });

/** By flag name, in the order in which they are applied. */
export const settings = {
  maxTokens: setting({
    short: '-n',
    placeholder: 'n',
    description: 'maximum number of tokens',
    value: wholeNumber({ min: 1 }),
    initial: 500,
  }),
  repetitionPenalty: setting({
    placeholder: 'x',
    description: 'penalize tokens already in prompt or text; 1: off',
    value: positive,
    initial: 1,
  }),
  frequencyPenalty: setting({
    placeholder: 'x',
    description: 'subtract this per occurrence in the generated text',
    value: number(),
    initial: 0,
  }),
  presencePenalty: setting({
    placeholder: 'x',
    description: 'subtract this once if the token has been generated',
    value: number(),
    initial: 0,
  }),
  temperature: setting({
    short: '-t',
    placeholder: 'x',
    description: 'sharper below 1, flatter above 1; 0: greedy',
    value: number({ min: 0 }),
    initial: 0.8,
  }),
  topK: setting({
    placeholder: 'n',
    description: 'sample from the n likeliest tokens; 0: all',
    value: wholeNumber(),
    initial: 0,
  }),
  topP: setting({
    placeholder: 'p',
    description: 'sample from the likeliest tokens that together reach p',
    value: fraction,
    initial: 1,
  }),
  minP: setting({
    placeholder: 'p',
    description: 'sample from tokens at least p times as likely as the likeliest',
    value: fraction,
    initial: 0,
  }),
  typicalP: setting({
    placeholder: 'p',
    description: 'sample from tokens of typical surprisal that together reach p',
    value: fraction,
    initial: 1,
  }),
  stop: setting({
    placeholder: 'text',
    description: 'stop before this text; \\n: a line break; repeatable',
    value: escapedText,
  }),
  seed: setting({
    placeholder: 'n',
    description: 'random seed; default: a new one each time',
    value: seed,
  }),
} satisfies { readonly [K in SettingName]: Setting<unknown> };

export const settingNames = Object.keys(settings) as SettingName[];

/** Adds a flag for each. Flags that are not given are absent or have their default. */
export function addSettings(command: Command): void {
  for (const name of settingNames) command.addOption(settingOption(name));
}

function settingOption(name: SettingName): Option {
  const { short, placeholder, description, value, initial } = settings[name] as Setting<unknown>;
  const flags = `${short === undefined ? '' : `${short}, `}--${kebab(name)} <${placeholder}>`;
  const made = option(flags, description, value, initial);
  if (name !== 'stop') return made;
  const read = made.parseArg as (text: string, previous: unknown) => string;
  return made.argParser((text, previous: readonly string[] | undefined) => [
    ...(previous ?? []),
    read(text, undefined),
  ]);
}

export const randomSeed = (): number => Math.floor(Math.random() * 2 ** 32);

/** Extracts the sampling parameters from the flags. */
export function settingsOf(
  flags: Omit<SamplingSettings, 'seed' | 'stop'> & { seed?: number; stop?: readonly string[]; greedy?: true },
): SamplingSettings {
  const chosen = Object.fromEntries(settingNames.map((name) => [name, flags[name]]));
  return {
    ...(chosen as unknown as SamplingSettings),
    temperature: flags.greedy ? 0 : flags.temperature,
    stop: flags.stop ?? [],
    seed: flags.seed ?? randomSeed(),
  };
}
