/**
 * Changes made to a run with --force. Unlike schedules, they are not reproduced by a run with the same options, which uses
 * the last values from the start; the record serves to warn of that.
 */
import { isDeepStrictEqual } from 'node:util';
import type { TextChange } from './new-text.ts';
import { optionTable } from './options.ts';
import { scheduleSettings } from './past-schedule.ts';
import type { Settings } from './settings.ts';

/**
 * Adds the changes of a resumed run to its record.
 *
 * @param step steps done; at step 0 the earlier values have not been used
 */
export function recordForcedChanges(
  before: Settings,
  next: Settings,
  { step, change }: { readonly step: number; readonly change: TextChange | undefined },
): Settings {
  if (step === 0) return next;
  const earlier: readonly (readonly [string, unknown])[] = [
    ...(change === 'text' ? [['corpus', before.corpus] as const] : []),
    ...[...recordedOptions()]
      .map((name) => [name, before[name]] as const)
      .filter(([name, value]) => !isDeepStrictEqual(value, next[name]))
      .map(([name, value]) => [name, value ?? null] as const),
  ];
  if (earlier.length === 0) return next;
  return {
    ...next,
    forcedChanges: [...before.forcedChanges, { step, before: Object.fromEntries(earlier) }],
  };
}

/** Options that --force may change. Those of the schedule have a record of their own, `pastSchedules`. */
function* recordedOptions(): Generator<keyof Settings> {
  const ofSchedule: ReadonlySet<string> = new Set(scheduleSettings);
  for (const [name, { onResume }] of optionTable())
    if (onResume === 'forced' && !ofSchedule.has(name)) yield name as keyof Settings;
}
