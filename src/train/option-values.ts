/** Types of values that training options share, besides those of values.ts. */
import { listOf, type Rule } from '../json-rules.ts';
import { architectureNames } from '../model/architectures/registry.ts';
import { number, wholeNumber, type Value } from '../values.ts';
import { forcedChange, type ForcedChange } from './forced-change.ts';
import { pastSchedule, type PastSchedule } from './past-schedule.ts';

export const positive = wholeNumber({ min: 1 });
export const belowOne = number({ min: 0, below: 1 });
export const nonNegative = number({ min: 0 });
/** The index of a step is one word of the random streams' counters. */
export const MOST_STEPS = 2 ** 32;
/** The index of a micro-batch is a word of the dropout masks' counters, below those of `Stream` in engine/philox.ts. */
export const MOST_MICRO_BATCHES = 2 ** 30;

const atLeastTwo = wholeNumber({ min: 2 });
/** Infinity stands for no limit. */
export const vocabularySize: Value<number> = {
  ...atLeastTwo,
  is: (value) => value === Infinity || atLeastTwo.is(value),
};
export const trueOrFalse: Value<boolean> = {
  expected: 'true or false',
  is: (value) => typeof value === 'boolean',
  read: (text) => ({ true: true, false: false })[text],
};
export const architecture: Value<string> = {
  expected: 'an architecture',
  is: (name) => architectureNames().includes(name as string),
  read: (text) => (architectureNames().includes(text) ? text : undefined),
};
/** A list that no flag sets, so that there is no text to read. */
const recordOf = <T>(rule: Rule): Value<readonly T[]> => ({ ...listOf(rule), read: () => undefined });
export const pastSchedules = recordOf<PastSchedule>(pastSchedule);
export const forcedChanges = recordOf<ForcedChange>(forcedChange);
/** About twenty years. */
export const MOST_MINUTES = 1e7;
