/** The form of a row in the table of options (../options.ts). */
import type { Rule } from '../../json-rules.ts';
import type { PresetName } from '../../model/config.ts';
import type { RareWords, TokenizerKind } from '../../tokenizer/tokenizer.ts';
import type { OptionType } from '../../values.ts';
import { optimizers, type OptimizerName, type UsedOption } from '../optimizer.ts';
import { hasDecayEnd, type ScheduleName } from '../schedule.ts';

/** The headings of `gpt train --help`. */
export const groups = ['Model', 'Adapters (LoRA)', 'Data', 'Training', 'Evaluation and output'] as const;
export type Group = (typeof groups)[number];

/**
 * Whether a resumed run may change an option:
 *
 * - `fixed`: it determines tensors, initial values or the meaning of token ids. Another value would require another model,
 *   so it is refused even with --force.
 * - `forced`: parameters and moments remain valid, but results differ from those of an uninterrupted run. Requires --force.
 * - `free`: it affects nothing computed so far.
 * - `invocation`: it affects one invocation only, and is not stored in a checkpoint.
 */
export type OnResume = 'fixed' | 'forced' | 'free' | 'invocation';

/** Options on which the defaults or effects of others depend. */
export interface KnownOptions {
  readonly arch: string;
  readonly preset: PresetName;
  readonly nEmbd: number;
  readonly initFrom: string | undefined;
  readonly tokenizer: TokenizerKind;
  readonly rareWords: RareWords | undefined;
  readonly vocabSize: number;
  readonly loraRank: number | undefined;
  readonly valFile: string | undefined;
  readonly maxIters: number;
  readonly learningRate: number;
  readonly lrDecayIters: number;
  readonly optimizer: OptimizerName;
  readonly schedule: ScheduleName;
  readonly evalInterval: number;
  readonly rewarmStart: number;
  readonly lrDecayFrom: number;
  readonly syncEvery: number | undefined;
}

export interface Row<T> {
  readonly group: Group;
  readonly value: OptionType<T>;
  /** Name of the flag's value in the help; absent for a switch. */
  readonly placeholder?: string;
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
  /** Check for stored values, if it accepts more than the flag does. */
  readonly stored?: Rule;
  /**
   * Value in effect in a run whose record lacks the option or has null, if it is not today's default.
   *
   * @param options of the run that is resumed or repeated, with changes
   * @param recorded the same without changes
   */
  readonly formerly?: (
    options: Readonly<Record<string, unknown>>,
    recorded: Readonly<Record<string, unknown>>,
  ) => T | undefined;
  /** Why a given value has no effect in combination with the other options, as the rest of a sentence about the flag. */
  caution?(value: T, chosen: KnownOptions): string | undefined;
  /** Options that cannot be given together with this one. */
  readonly conflicts?: readonly string[];
  /** Consequence of a change for evaluations: another validation text, or losses of it that are not comparable. See new-text.ts. */
  readonly changes?: 'text' | 'sample';
}

/** Warns of an option that others make ineffective. @param isEffective whether the option is used */
export const unused =
  (isEffective: (chosen: KnownOptions) => boolean, where: (chosen: KnownOptions) => string) =>
  (_value: unknown, chosen: KnownOptions): string | undefined =>
    isEffective(chosen) ? undefined : `has no effect ${where(chosen)}`;

/** Warns of an option that the run's optimizer does not use. */
export const ofOptimizer = (name: UsedOption) =>
  unused(
    ({ optimizer }) => optimizers[optimizer].options.includes(name),
    ({ optimizer }) => `with the optimizer ${optimizer}`,
  );

export const withDecay = unused(
  ({ schedule }) => hasDecayEnd(schedule),
  ({ schedule }) =>
    schedule === 'constant'
      ? 'on a constant learning rate'
      : `with the ${schedule} schedule, whose decay has no end`,
);

/** Default of options that a preset sets. Without one, a run with a time limit chooses them; see ../choose-model.ts. */
export const PRESET_OR_CHOSEN = "the preset's, or chosen";

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
