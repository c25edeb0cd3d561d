import type { RunRecord } from './run-record.ts';

/** A setting that is not the same in all runs, with its value in each; undefined where a run does not say. */
export interface Difference {
  readonly setting: string;
  readonly values: readonly (string | undefined)[];
}

/** What says where a run lies and how it was shown, and not what was trained. */
const INCIDENTAL: ReadonlySet<string> = new Set(['outDir', 'sampleTokens']);

/** The settings in which runs differ, in the order in which they are stored. */
export function differences(runs: readonly RunRecord[]): Difference[] {
  const settings = runs.map(settingsOf);
  const names = new Set(settings.flatMap((each) => [...each.keys()]));
  return [...names]
    .map((setting) => ({ setting, values: settings.map((each) => each.get(setting)) }))
    .filter(({ values }) => values.some((value) => value !== values[0]));
}

/** Every setting of a run as text: the options it was trained with, or of a bare model what config.json says. */
export function settingsOf({ model, state }: RunRecord): Map<string, string> {
  const all = { ...model.config, ...state?.options };
  return new Map(
    Object.entries(all)
      .filter(([name, value]) => !INCIDENTAL.has(name) && value !== undefined)
      .map(([name, value]) => [name, shown(value)]),
  );
}

/** null is how JSON writes a limit that is infinite. */
function shown(value: unknown): string {
  if (value === null) return 'none';
  if (Array.isArray(value)) return value.map(shown).join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Whether losses per token can be compared: the same tokens are predicted, of the same text. */
export function haveSameTokens(runs: readonly RunRecord[]): boolean {
  const [first, ...others] = runs.map(({ model }) => JSON.stringify(model.tokenizer.toJSON()));
  return others.every((other) => other === first);
}
