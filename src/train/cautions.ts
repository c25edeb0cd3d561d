/** Warnings about options that other options make ineffective. */
import type { KnownOptions } from './options/row.ts';
import { optionTable, type GivenOptions } from './options.ts';

export interface Caution {
  /** The name of an option, as in `GivenOptions`. */
  readonly option: string;
  /** The rest of a sentence about it: 'has no effect with the optimizer sgd'. Other options are marked, see messages.ts. */
  readonly why: string;
}

/**
 * @param given options set explicitly. A value that equals the default is never warned about: a recorded run, given with
 *   --config, has every option
 * @param settings the values of all options
 */
export function cautionsAbout(given: GivenOptions, settings: KnownOptions): Caution[] {
  const values: Readonly<Record<string, unknown>> = { ...given };
  return [...optionTable()].flatMap(([option, row]) => {
    const value = values[option];
    const usual = typeof row.default === 'function' ? row.default(settings) : row.default;
    const why = value === undefined || value === usual ? undefined : row.caution?.(value, settings);
    return why === undefined ? [] : [{ option, why }];
  });
}
