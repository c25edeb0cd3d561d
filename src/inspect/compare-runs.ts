import { recordedSchedule } from '../train/stored-options.ts';
import type { RunRecord } from './run-record.ts';

/** A setting that differs between runs, with its value in each; undefined where it is not recorded. */
export interface Difference {
  readonly setting: string;
  readonly values: readonly (string | undefined)[];
}

/** Settings that affect only where a run is stored or how it was displayed. */
const INCIDENTAL: ReadonlySet<string> = new Set(['outDir', 'sampleTokens']);

/** Records of how a run came to its settings, which no option sets. */
const HISTORY: ReadonlySet<string> = new Set([...recordedSchedule, 'forcedChanges', 'bpeSizeFromText']);

/** Settings in which runs differ, in the order in which they are stored. */
export function differences(runs: readonly RunRecord[]): Difference[] {
  const settings = runs.map(settingsOf);
  const names = new Set(settings.flatMap((each) => [...each.keys()]));
  return [...names]
    .filter((setting) => !HISTORY.has(setting))
    .map((setting) => ({ setting, values: settings.map((each) => each.get(setting)) }))
    .filter(({ values }) => values.some((value) => value !== values[0]));
}

/** All settings of a run as text: its training options or, for a model without a run, its config.json. */
export function settingsOf({ model, state }: RunRecord): Map<string, string> {
  const all = { ...model.config, ...state?.options };
  return new Map(
    Object.entries(all)
      .filter(([name, value]) => !INCIDENTAL.has(name) && value !== undefined)
      .map(([name, value]) => [name, shown(value)]),
  );
}

/** JSON stores an infinite limit as null. */
function shown(value: unknown): string {
  if (value === null) return 'none';
  if (Array.isArray(value)) return value.map(shown).join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** True if losses per token are comparable, because the same tokens of the same text are predicted. */
export function haveSameTokens(runs: readonly RunRecord[]): boolean {
  const [first, ...others] = runs.map(({ model }) => JSON.stringify(model.tokenizer.toJSON()));
  return others.every((other) => other === first);
}
