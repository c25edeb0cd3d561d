/** The interval of checkpoints between evaluations: a number of steps or a time. */
import { UsageError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { wholeNumber, type OptionType } from '../values.ts';

/** Steps, or seconds, minutes or hours. */
export type SaveEvery = number | `${number}${'s' | 'm' | 'h'}`;

const isSaveEvery = (value: unknown): value is SaveEvery =>
  /^\d{1,16}$|^\d{1,9}(\.\d{1,9})?[smh]$/.test(String(value));

export const saveEvery: OptionType<SaveEvery> = {
  expected: 'a number of steps, or a time such as 30s, 10m or 1h',
  is: isSaveEvery,
  read: (text) => wholeNumber().read(text) ?? (isSaveEvery(text) ? text : undefined),
};

/** The interval as numbers; empty for none. @throws UsageError for any other value */
export function saveInterval(every: SaveEvery): { readonly steps?: number; readonly seconds?: number } {
  if (!isSaveEvery(every))
    throw new UsageError('bad-option-value', `${shownJson(every)} is not ${saveEvery.expected}`);
  const amount = Number.parseFloat(String(every));
  if (amount === 0) return {};
  const seconds = { s: 1, m: 60, h: 3600 }[String(every).slice(-1)];
  return seconds === undefined ? { steps: amount } : { seconds: amount * seconds };
}
