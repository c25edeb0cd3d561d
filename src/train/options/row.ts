/** The form of a row in the table of options (../options.ts). */
import type { Rule } from '../../json-rules.ts';
import type { PresetName } from '../../model/config.ts';
import type { Value } from '../../values.ts';
import { hasDecayEnd, type ScheduleName } from '../schedule.ts';

/** The headings of `gpt train --help`. */
export const groups = ['Model', 'Data', 'Training', 'Evaluation and output'] as const;
export type Group = (typeof groups)[number];

/**
 * What a resumed run may do with an option:
 *
 * - `fixed`: it decides which tensors there are, what they start from or what a token id means. Another value would need
 *   another model, so it is refused even with --force.
 * - `forced`: another value continues with the same parameters and moments, but with other results than an uninterrupted
 *   run. It needs --force.
 * - `free`: it changes nothing that has been computed.
 * - `invocation`: it affects one invocation only, and is not stored in a checkpoint.
 */
export type OnResume = 'fixed' | 'forced' | 'free' | 'invocation';

/** Options that the defaults or the effect of others depend on. */
export interface KnownOptions {
  readonly arch: string;
  readonly preset: PresetName;
  readonly initFrom: string | undefined;
  readonly valFile: string | undefined;
  readonly maxIters: number;
  readonly learningRate: number;
  readonly lrDecayIters: number;
  readonly optimizer: string;
  readonly schedule: ScheduleName;
  readonly evalInterval: number;
  readonly rewarmStart: number;
  readonly lrDecayFrom: number;
}

export interface Row<T> {
  readonly group: Group;
  readonly value: Value<T>;
  /** Name of the flag's value in the help. */
  readonly placeholder: string;
  /** Description in the help; it fits on one line. */
  readonly help: string;
  /** Set on options without a flag. */
  readonly hasFlag?: false;
  readonly default: T | ((known: KnownOptions) => T);
  /** Default of the flag, where it differs from the library's. */
  readonly flagDefault?: T;
  /** Describes a default that is computed. */
  readonly defaultHelp?: string;
  readonly onResume: OnResume;
  /** What a checkpoint may hold, where that is more than the flag accepts. */
  readonly stored?: Rule;
  /** Why a given value does not do what its help says beside the other options: the rest of a sentence about the flag. */
  caution?(value: T, chosen: KnownOptions): string | undefined;
  /** Options that cannot be given together with this one. */
  readonly conflicts?: readonly string[];
  /** What evaluations use if the value changes: another validation text, or another sample of it. See new-text.ts. */
  readonly changes?: 'text' | 'sample';
}

/** A caution about options that others make ineffective. @param isEffective whether the option is used */
export const unused =
  (isEffective: (chosen: KnownOptions) => boolean, where: (chosen: KnownOptions) => string) =>
  (_value: unknown, chosen: KnownOptions): string | undefined =>
    isEffective(chosen) ? undefined : `has no effect ${where(chosen)}`;

export const withOptimizer = (...names: readonly string[]) =>
  unused(
    ({ optimizer }) => names.includes(optimizer),
    ({ optimizer }) => `with the optimizer ${optimizer}`,
  );

export const withDecay = unused(
  ({ schedule }) => hasDecayEnd(schedule),
  ({ schedule }) =>
    schedule === 'constant'
      ? 'on a constant learning rate'
      : `with the ${schedule} schedule, whose decay has no end`,
);

export const row = <T>(made: Row<T>): Row<T> => made;

/** An option that has no value unless it is given. */
export const optional = <T>(made: Omit<Row<T>, 'default'>): Row<T | undefined> => ({
  ...made,
  default: undefined,
  stored: orAbsent(made.stored ?? made.value),
});

/** Accepts runs of earlier versions, which lack the option. */
export const orAbsent = ({ is, expected }: Rule): Rule => ({
  is: (value) => value === undefined || is(value),
  expected,
});
