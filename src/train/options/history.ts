/** Options without flags, in which extensions, time limits and forced changes are recorded. */
import { listOf, type Rule } from '../../json-rules.ts';
import { wholeNumber, type OptionType } from '../../values.ts';
import { forcedChange, type ForcedChange } from '../forced-change.ts';
import { pastSchedule, type PastSchedule } from '../past-schedule.ts';
import { orAbsent, row } from './row.ts';
import { belowOne, nonNegative } from './values.ts';

/** A list that no flag sets, so it cannot be parsed from text. */
const recordOf = <T>(rule: Rule): OptionType<readonly T[]> => ({ ...listOf(rule), read: () => undefined });
const pastSchedules = recordOf<PastSchedule>(pastSchedule);
const forcedChanges = recordOf<ForcedChange>(forcedChange);

export const historyRows = {
  /** Set by extension.ts. */
  rewarmStart: row<number>({
    group: 'Training',
    value: wholeNumber(),
    placeholder: 'n',
    help: 'first step of the re-warm-up of an extended run; 0: none',
    hasFlag: false,
    default: 0,
    onResume: 'free',
    stored: orAbsent(wholeNumber()),
  }),
  rewarmIters: row<number>({
    group: 'Training',
    value: wholeNumber(),
    placeholder: 'n',
    help: 'steps of the re-warm-up',
    hasFlag: false,
    default: 0,
    onResume: 'free',
    stored: orAbsent(wholeNumber()),
  }),
  rewarmFrom: row<number>({
    group: 'Training',
    value: nonNegative,
    placeholder: 'x',
    help: 'learning rate before the re-warm-up',
    hasFlag: false,
    default: 0,
    onResume: 'free',
    stored: orAbsent(nonNegative),
  }),
  /** The share of the decay done before lrDecayStart. Set by run-time.ts. */
  lrDecayFrom: row<number>({
    group: 'Training',
    value: belowOne,
    placeholder: 'p',
    help: 'share of the decay done before lrDecayStart',
    hasFlag: false,
    default: 0,
    onResume: 'free',
    stored: orAbsent(belowOne),
  }),
  /** Set by schedule-history.ts. */
  pastSchedules: row<readonly PastSchedule[]>({
    group: 'Training',
    value: pastSchedules,
    placeholder: 'list',
    help: 'schedules of earlier steps',
    hasFlag: false,
    default: [],
    defaultHelp: 'none',
    onResume: 'free',
    stored: orAbsent(pastSchedules),
  }),
  /** Set by change-history.ts. */
  forcedChanges: row<readonly ForcedChange[]>({
    group: 'Training',
    value: forcedChanges,
    placeholder: 'list',
    help: 'options changed by --force, with their earlier values',
    hasFlag: false,
    default: [],
    defaultHelp: 'none',
    onResume: 'free',
    stored: orAbsent(forcedChanges),
  }),
};
