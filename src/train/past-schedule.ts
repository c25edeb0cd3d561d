/** The record of a schedule that applied to earlier steps of a run. */
import { isJsonObject } from '../json.ts';
import { amount, belowOne, count, oneOf, optional, positive, type Rule, type Rules } from '../json-rules.ts';
import { decayTypes, scheduleNames, type DecayType, type ScheduleName } from './schedule.ts';

/** The options that determine the learning rate of a step. */
interface ScheduleSettings {
  readonly schedule: ScheduleName;
  readonly learningRate: number;
  readonly minLr: number;
  readonly warmupIters: number;
  readonly lrDecayIters: number;
  readonly lrDecayStart: number;
  readonly lrDecayFrom: number;
  /** Absent in older records: linear. */
  readonly lrDecayType?: DecayType;
  readonly rewarmStart: number;
  readonly rewarmIters: number;
  readonly rewarmFrom: number;
}

/** A schedule that applied to the steps before `until`, counted from 0. */
export interface PastSchedule extends ScheduleSettings {
  readonly until: number;
}

const settingRules: Rules<ScheduleSettings> = {
  schedule: oneOf(scheduleNames),
  learningRate: amount,
  minLr: amount,
  warmupIters: count,
  lrDecayIters: positive,
  lrDecayStart: count,
  lrDecayFrom: belowOne,
  lrDecayType: optional(oneOf(decayTypes)),
  rewarmStart: count,
  rewarmIters: count,
  rewarmFrom: amount,
};

/** Names of the options that determine the learning rate of a step. */
export const scheduleSettings = Object.keys(settingRules) as readonly (keyof ScheduleSettings)[];

export const pastSchedule: Rule = {
  is: (value) =>
    isJsonObject(value) &&
    Object.entries({ until: positive, ...settingRules }).every(([name, rule]) => rule.is(value[name])),
  expected: 'a schedule of earlier steps',
};
