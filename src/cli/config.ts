/**
 * `--config run.json`: options from a file. The command line takes precedence, then the environment, then the file. Keys
 * are names of flags, in kebab-case, snake_case or camelCase, and of arguments:
 *
 *     { "corpus": ["book.txt"], "preset": "nano", "max-iters": 2000 }
 *
 * A run's record of its options, `gpt_trainer_state.json` or the run's folder, works as well and trains the same model
 * again.
 */
import { existsSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { Command } from 'commander';
import { latestCheckpoint, LEGACY_STATE, STATE, stateFileOf } from '../checkpoint/checkpoint-folders.ts';
import { hintForMissingRun, resolveRun } from '../checkpoint/runs.ts';
import { readTrainerState } from '../checkpoint/trainer-state.ts';
import { UsageError, UserError } from '../errors.ts';
import { formatList } from '../format.ts';
import { parseJsonObject, shownJson } from '../json.ts';
import { readTextFile } from '../read-file.ts';
import { shellQuoted } from '../shell-quote.ts';
import type { ForcedChange } from '../train/forced-change.ts';
import { optionTable } from '../train/options.ts';
import { scheduleSettings } from '../train/past-schedule.ts';
import { outdatedDefaults, outdatedVocabularyOptions } from '../train/recorded-defaults.ts';
import { checkRecordedCourse, recordedSchedule, withFormerValues } from '../train/stored-options.ts';
import { closest } from '../suggest.ts';
import { applyOption, naming, readAll, refuseConflicts, textsOf } from './apply-option.ts';
import { flagOf } from '../flag-name.ts';
import { notice, printable } from './terminal.ts';

/**
 * Applies options from a file unless they are set elsewhere.
 *
 * @throws UsageError for an unknown key or an invalid value
 */
export function applyConfigFile(command: Command, path: string): void {
  const { entries: read, recorded } = readConfig(path);
  if (recorded && !OF_RECORDS.includes(command.name())) refuseRecord(command, path);
  const changes = givenValues(command);
  const entries = recorded ? withFormerValues(read, changes) : read;
  if (recorded && isRun(command)) refuseOtherStart(path, entries, changes);
  const left = recorded ? naming(path, () => leftOut(command, entries, changes)) : new Set();
  const isSet = (value: unknown): boolean => value !== null && value !== false; // a switch that is off conflicts with nothing
  const names = Object.entries(entries).flatMap(([key, value]) => (isSet(value) ? [camelCase(key)] : []));
  if (!recorded) naming(path, () => refuseConflicts(command, new Set(names)));
  for (const [key, value] of Object.entries(entries)) {
    const name = camelCase(key);
    if (value === null || (recorded && name === 'outDir')) continue; // the new run gets its own folder
    if (left.has(name)) continue;
    if (name === 'blas') refuseLibrary(path, value);
    const option = command.options.find((each) => each.attributeName() === name && name !== 'config');
    const argument = command.registeredArguments.findIndex((each) => each.name() === name);
    naming(path, () => {
      if (option !== undefined) applyOption(command, option, value, 'config');
      else if (argument >= 0) applyArgument(command, argument, value);
      else if (!recorded) refuse(command, key); // a record contains more than flags
    });
  }
  if (recorded && command.name() === 'train') applyRecordedCourse(command, path, entries);
}

/** Whether the command line or the environment sets an option. */
const isGiven = (command: Command, name: string): boolean =>
  !['config', 'default', undefined].includes(command.getOptionValueSource(name));

/** Options and arguments that the command line or the environment sets. */
function givenValues(command: Command): Readonly<Record<string, unknown>> {
  const options = Object.entries(command.opts()).filter(([name]) => isGiven(command, name));
  const names = command.registeredArguments.map((argument) => argument.name());
  return {
    ...Object.fromEntries(options),
    ...(names.includes('corpus') && command.args.length > 0 && { corpus: command.args }),
  };
}

const isRun = (command: Command): boolean => ['train', 'plan'].includes(command.name());

/** If one of these is given, the new run plans its own schedule. */
const SCHEDULE_FLAGS = [...scheduleSettings, 'maxIters', 'minutes'];

/** Recorded settings that follow from options which the command line changes. */
function leftOut(
  command: Command,
  entries: Readonly<Record<string, unknown>>,
  changes: Readonly<Record<string, unknown>>,
): ReadonlySet<string> {
  const isFilter = changes['encode'] !== undefined || changes['decode'] !== undefined;
  if (isFilter) return new Set(Object.keys(entries).map(camelCase)); // its text is stdin, its tokenizer is given
  const ofVocabulary = outdatedVocabularyOptions(entries, changes);
  if (!isRun(command)) return ofVocabulary;
  const plansSchedule =
    command.name() === 'plan' || SCHEDULE_FLAGS.some((name) => changes[name] !== undefined);
  const wasFitted = Boolean(entries['lrDecayFrom']); // to a time limit, which moved the start of the decay
  return new Set([
    ...ofVocabulary,
    ...outdatedDefaults(entries, changes),
    ...(plansSchedule && wasFitted ? ['lrDecayStart'] : []),
    ...(entries['valFile'] === undefined ? [] : ['valFraction']), // 0, and in conflict with the file
  ]);
}

/** @throws UsageError for an option of a new model, where the recorded run started from a model */
function refuseOtherStart(
  path: string,
  { initFrom }: Readonly<Record<string, unknown>>,
  changes: Readonly<Record<string, unknown>>,
): void {
  if (initFrom === undefined || changes['initFrom'] !== undefined) return;
  const other = optionTable()
    .get('initFrom')
    ?.conflicts?.find((name) => changes[name] !== undefined);
  if (other === undefined) return;
  throw new UsageError(
    'conflicting-options',
    `${path} starts from the model ${shownJson(initFrom)}, so ${flagOf(other)} has no effect`,
    { hint: 'omit it, or train a new model without --config' },
  );
}

/** Applies recorded settings that have no flag but are needed to reproduce the run. */
function applyRecordedCourse(
  command: Command,
  path: string,
  entries: Readonly<Record<string, unknown>>,
): void {
  if (isGiven(command, 'resume')) return;
  checkRecordedCourse(entries, (what) => {
    throw new UserError('damaged-file', `${path}: in "options", ${what}`, {
      hint: 'the checkpoint is damaged or was changed by hand',
    });
  });
  noticeForcedChanges(path, (entries['forcedChanges'] ?? []) as readonly ForcedChange[]);
  if (!SCHEDULE_FLAGS.some((name) => isGiven(command, name))) applyRecordedSchedule(command, path, entries);
}

/** Warns that forced changes during the run cannot be reproduced from its final options. */
function noticeForcedChanges(path: string, changes: readonly ForcedChange[]): void {
  if (changes.length === 0) return;
  const names = new Set(changes.flatMap(({ before }) => Object.keys(before)));
  const shown = Array.from(names, (name) => (name === 'corpus' ? 'the text' : flagOf(name)));
  const steps = changes.map(({ step }) => String(step));
  notice(
    `${printable(path)} changed ${printable(formatList(shown))} with --force after step ${formatList(steps)}:\n` +
      'the new run uses the later values from the start, so its model will differ.',
  );
}

/** Applies the recorded history of a schedule: extensions, and ends moved to meet a time limit. */
function applyRecordedSchedule(
  command: Command,
  path: string,
  entries: Readonly<Record<string, unknown>>,
): void {
  const { rewarmStart = 0, pastSchedules = [] } = entries;
  if (rewarmStart !== 0 && (pastSchedules as readonly unknown[]).length === 0)
    return notice(
      `${printable(path)} was extended after step ${String(rewarmStart)} by a version that did not record the earlier schedule: ` +
        'the new run decays once, at its end, so its model will differ.',
    );
  for (const name of recordedSchedule)
    if (entries[name] !== undefined) command.setOptionValueWithSource(name, entries[name], 'config');
}

/** Size limit of a config file, in bytes. */
const LARGEST = 1e6;

function readConfig(named: string): { entries: Readonly<Record<string, unknown>>; recorded: boolean } {
  const path = resolveRun(named);
  if (!existsSync(path))
    throw new UserError('file-not-found', `there is no file or run ${path}`, {
      hint: hintForMissingRun(path),
    });
  if (statSync(path).isDirectory()) {
    const stateFile = stateFileOf(path) ?? stateFileOf(latestCheckpoint(path)?.folder ?? path);
    if (stateFile === undefined)
      throw new UserError('no-checkpoint', `${path} has no checkpoint and so no record of its options`, {
        hint: 'pass the folder of a run, or a JSON file like { "max-iters": 500 }',
      });
    return { entries: readTrainerState(stateFile).options, recorded: true };
  }
  if ([STATE, LEGACY_STATE].includes(basename(path)))
    return { entries: readTrainerState(path).options, recorded: true };
  const entries = parseJsonObject(readTextFile(path, LARGEST), (what) => {
    throw new UserError('damaged-file', `${path} ${what}`, {
      hint: 'it should be like { "max-iters": 500 }',
    });
  });
  return { entries, recorded: false };
}

const camelCase = (key: string): string =>
  key.replace(/^-+/, '').replace(/[-_]+(.)/g, (_, letter: string) => letter.toUpperCase());

/** Arguments have no defaults, so a value means that one was typed, and it takes precedence. */
function applyArgument(command: Command, index: number, value: unknown): void {
  const argument = command.registeredArguments[index];
  const parsed = readAll(argument, textsOf(argument.name(), value));
  if (command.args.length <= index) command.processedArgs[index] = parsed;
}

/** Commands that take over the recorded options of a run. */
const OF_RECORDS = ['train', 'plan', 'tokenize'];

function refuseRecord(command: Command, path: string): never {
  const hasModel = command.options.some((option) => option.attributeName() === 'model');
  const folder = statSync(path).isDirectory() ? path : dirname(path);
  throw new UsageError(
    'bad-option-value',
    `${path} is a training run, whose options are not those of gpt ${command.name()}`,
    {
      hint: hasModel
        ? `to use its model, pass -m ${shellQuoted(folder)}`
        : 'gpt train and gpt plan can repeat it',
    },
  );
}

/** The library is code that is executed, and the file may come from anywhere. */
function refuseLibrary(path: string, value: unknown): never {
  throw new UsageError(
    'bad-option-value',
    `${path} names ${shownJson(value)} as a BLAS library, which a file may not choose`,
    { hint: 'it is code that runs in this program; pass its path with --blas or GPT_BLAS' },
  );
}

function refuse(command: Command, key: string): never {
  const names = [
    ...command.registeredArguments.map((argument) => argument.name()),
    ...command.options.map((option) => (option.long ?? '').replace(/^--(no-)?/, '')),
  ];
  const suggestion = closest(key.replace(/^-+/, ''), names);
  throw new UsageError('unknown-name', `gpt ${command.name()} has no option ${shownJson(key)}`, {
    hint: suggestion === undefined ? `see gpt ${command.name()} --help` : `did you mean "${suggestion}"?`,
  });
}
