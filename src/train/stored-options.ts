/** The options in a checkpoint: their validation, and the options of a run that is resumed from it. */
import { isDeepStrictEqual } from 'node:util';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { UsageError, UserError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { checkFields, listOf, text, type Rule } from '../json-rules.ts';
import { optionName } from '../messages.ts';
import type { OnResume } from './options/row.ts';
import { optionsOf, optionTable, type OptionRow } from './options.ts';
import type { TrainModelOptions } from './settings.ts';

/** Rules for the options in a checkpoint. */
function storedRules(arch: string): Record<string, Rule> {
  const stored = [...optionsOf(arch)].filter(([, { onResume }]) => onResume !== 'invocation');
  return {
    corpus: listOf(text),
    ...Object.fromEntries(stored.map(([name, row]) => [name, storedRule(row)])),
  };
}

const storedRule = ({ stored, value }: OptionRow): Rule => stored ?? value;

/** Schedule options that no flag sets: the history of the learning rate of an extended or timed run. */
export const recordedSchedule = [
  'rewarmStart',
  'rewarmIters',
  'rewarmFrom',
  'lrDecayFrom',
  'pastSchedules',
] as const;

/**
 * Checks the recorded history of a run: `recordedSchedule` and `forcedChanges`.
 *
 * @param fail throws; receives the fault
 */
export function checkRecordedCourse(
  options: Readonly<Record<string, unknown>>,
  fail: (what: string) => never,
): void {
  const table = optionTable();
  const names = [...recordedSchedule, 'forcedChanges'];
  checkFields(options, Object.fromEntries(names.map((name) => [name, storedRule(table.get(name)!)])), fail);
}

/** Options that config.json repeats, besides the fields of the architecture. */
const STATED_BY_MODEL = ['arch', 'nLayer', 'nHead', 'nEmbd', 'blockSize'] as const;

/**
 * Checks that a checkpoint's options are complete, valid and consistent with its model.
 *
 * @throws UserError naming the option and its value
 */
export function checkStoredOptions({ stateFile, state: { options }, model }: Checkpoint): void {
  const fail = (what: string): never => {
    throw new UserError('damaged-file', `${stateFile}: in "options", ${what}`, {
      hint: 'the checkpoint is damaged or was changed by hand',
    });
  };
  const { config, tokenizer } = model;
  checkFields(options, storedRules(config.arch), fail);
  const architecture = architectureOf(config);
  const names = [...STATED_BY_MODEL, ...Object.keys(architecture.fields)].filter(
    // Adapters may be trained with a shorter context than their base has.
    (name) => config.lora === undefined || name !== 'blockSize',
  );
  const stated: Readonly<Record<string, unknown>> = { ...config };
  const stored = Object.fromEntries(names.map((name) => [name, storedValue(options, name)]));
  const resolved: Readonly<Record<string, unknown>> = { ...architecture.complete({ ...config, ...stored }) };
  for (const name of names)
    if (!isDeepStrictEqual(resolved[name], stated[name]))
      fail(`"${name}" is ${shownJson(stored[name])}, but config.json next to it has ${shown(stated[name])}`);
  checkAdapterOptions(options, config, fail);
  if (options['tokenizer'] !== tokenizer.kind)
    fail(
      `"tokenizer" is ${shownJson(options['tokenizer'])}, but tokenizer.json next to it is ${tokenizer.kind}`,
    );
}

/** @param fail throws; receives an option that contradicts adapter_config.json */
function checkAdapterOptions(
  options: Readonly<Record<string, unknown>>,
  { lora }: ModelConfig,
  fail: (what: string) => never,
): void {
  const stated: Readonly<Record<string, unknown>> = {
    loraRank: lora?.rank,
    loraAlpha: lora?.alpha,
    loraTargets: lora?.targets.join(','),
    useRslora: lora?.isRankStabilized,
  };
  for (const [name, value] of Object.entries(stated))
    if (options[name] !== value)
      fail(
        `"${name}" is ${shownJson(options[name])}, but adapter_config.json next to it has ${shown(value)}`,
      );
  if (lora !== undefined && options['loraBase'] === undefined) fail('"loraBase" is missing');
}

/** The value of an option in a checkpoint or, if the run is older than the option, the value that it had in effect. */
export function storedValue(options: Readonly<Record<string, unknown>>, name: string): unknown {
  const row = optionTable().get(name);
  const usual = row?.default;
  return (
    options[name] ?? row?.formerly?.(options, options) ?? (typeof usual === 'function' ? undefined : usual)
  );
}

/**
 * The options in a checkpoint, and the values that options introduced later had in effect, where those are not the defaults.
 *
 * @param changes new values that replace some of them
 */
export function withFormerValues(
  stored: Readonly<Record<string, unknown>>,
  changes: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  const now = { ...stored, ...changes };
  const former = [...optionTable()].map(([name, { formerly }]) => [name, formerly?.(now, stored)] as const);
  const missing = former.filter(([name, value]) => value !== undefined && (stored[name] ?? null) === null);
  return { ...stored, ...Object.fromEntries(missing) };
}

/**
 * The options of a checkpoint. JSON has no infinity: null stands for a vocabulary whose size was not limited by an option. Runs
 * older than `encoding` and `documents` were trained on UTF-8 and an undivided text.
 */
export function optionsFromJson(stored: Readonly<Record<string, unknown>>): TrainModelOptions {
  const options = Object.fromEntries(
    Object.entries(withFormerValues(stored)).filter(([name, value]) => isStored(name) && value !== null),
  );
  const usual = ['encoding', 'documents'].map((name) => [name, storedValue(stored, name)]);
  const completed: unknown = { ...Object.fromEntries(usual), ...options };
  return completed as TrainModelOptions;
}

/**
 * The options of a resumed run: its own, with the changes of this invocation that are allowed.
 *
 * @param stored options that have passed `checkStoredOptions`
 * @param values every option of the run, including defaults that a checkpoint omits: repeating one of them changes nothing
 * @throws UsageError naming each option that differs and is fixed, or needs `force` and does not have it
 */
export function resumedOptions(
  stored: Readonly<Record<string, unknown>>,
  given: TrainModelOptions,
  values: Readonly<Record<string, unknown>>,
): TrainModelOptions {
  const before: Record<string, unknown> = { ...optionsFromJson(stored) };
  const had: Record<string, unknown> = { ...values };
  if (had['valFile'] !== undefined) for (const options of [before, had]) delete options['valFraction']; // the corpus was not split
  const now = Object.entries(given).filter(
    ([name, value]) => value !== undefined && !(name === 'corpus' && given.corpus.length === 0),
  );
  const differs = (kind: OnResume): string[] =>
    now
      .filter(([name, value]) => onResume(name) === kind && !isDeepStrictEqual(value, had[name]))
      .map(([name, value]) => `${optionName(name)} is ${String(value)}, but the run has ${shown(had[name])}`);

  const impossible = differs('fixed');
  if (impossible.length > 0)
    throw new UsageError('conflicting-options', impossible.join('; '), {
      hint: `a run's model, tokenizer and optimizer are fixed: omit this, or start a new run without ${optionName('resume')}`,
    });
  const unforced = given.force === true ? [] : differs('forced');
  if (unforced.length > 0)
    throw new UsageError('conflicting-options', unforced.join('; '), {
      hint: `omit this to continue unchanged, or use ${optionName('force')} to change it from this step on`,
    });
  if (given.valFraction !== undefined) delete before['valFile'];
  if (given.lrDecayStart !== undefined) delete before['lrDecayFrom']; // a decay that starts there starts from the peak
  return { ...(before as unknown as TrainModelOptions), ...Object.fromEntries(now) };
}

const onResume = (name: string): OnResume => optionTable().get(name)?.onResume ?? 'invocation';

const isStored = (name: string): boolean => name === 'corpus' || onResume(name) !== 'invocation';

const shown = (value: unknown): string => (value === undefined ? 'none' : shownJson(value));
