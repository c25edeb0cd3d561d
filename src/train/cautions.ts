/** Options that do not do what their help says, because of other options of the run. */
import type { KnownOptions } from './option-row.ts';
import { optionTable, type GivenOptions } from './options.ts';

export interface Caution {
  /** The name of an option, as in `GivenOptions`. */
  readonly option: string;
  /** The rest of a sentence about it: 'has no effect with the optimizer sgd'. */
  readonly why: string;
}

/**
 * @param given what was asked for explicitly: defaults are never warned about
 * @param settings the values of all options
 */
export function cautionsAbout(given: GivenOptions, settings: KnownOptions): Caution[] {
  const values: Readonly<Record<string, unknown>> = { ...given };
  return [...optionTable()].flatMap(([option, row]) => {
    const value = values[option];
    const why = value === undefined ? undefined : row.caution?.(value, settings);
    return why === undefined ? [] : [{ option, why }];
  });
}
