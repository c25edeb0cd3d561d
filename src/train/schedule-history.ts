/**
 * The schedules of a run's earlier steps. They are among its options, so that a run whose schedule changed, by an
 * extension or to meet its time limit, can be reproduced from its options alone.
 */
import { learningRateAt } from './schedule.ts';
import { scheduleSettings, type PastSchedule } from './past-schedule.ts';
import { scheduleOptions, type Settings } from './settings.ts';

/**
 * Changes the schedule of a run from the next step on. The previous schedule is recorded if the new one would give any
 * earlier step another learning rate.
 *
 * @param step steps done
 */
export function changeSchedule(before: Settings, next: Settings, step: number): Settings {
  const past = before.pastSchedules.filter(({ until }) => until <= step);
  // Within a past schedule only after a rollback.
  const present = before.pastSchedules.find(({ until }) => until > step) ?? before;
  const [used, planned] = [before, { ...next, pastSchedules: [] }].map(scheduleOptions);
  for (let at = past.at(-1)?.until ?? 0; at < step; at++)
    if (learningRateAt(at, used) !== learningRateAt(at, planned))
      return { ...next, pastSchedules: [...past, recorded(present, step)] };
  return { ...next, pastSchedules: past };
}

/** Steps whose schedule is recorded. After a rollback they may exceed the steps done. */
export const recordedSteps = ({ pastSchedules }: Settings): number => pastSchedules.at(-1)?.until ?? 0;

const recorded = (settings: Omit<PastSchedule, 'until'>, until: number): PastSchedule =>
  ({
    ...Object.fromEntries(scheduleSettings.map((name) => [name, settings[name]])),
    until,
  }) as unknown as PastSchedule;
