/** Slash commands such as `/retry`, and those that all sessions share. */
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { UsageError, UserError } from '../../errors.ts';
import { kebab } from '../../flag-name.ts';
import { shownJson } from '../../json.ts';
import { closest } from '../../suggest.ts';
import { factTable } from '../fact-table.ts';
import { writeOutput } from '../output-file.ts';
import {
  escaped,
  randomSeed,
  settingNames,
  settings as known,
  type SettingName,
  type SamplingSettings,
} from '../sampling-settings.ts';
import { notice, printable, printError, printMessage } from '../terminal.ts';

export interface SlashCommand<Session> {
  /** Placeholder for /help. */
  readonly argument?: string;
  readonly summary: string;
  /** Returns true to end the session. */
  run(session: Session, argument: string): Promise<boolean | void> | boolean | void;
}

export type SlashCommands<Session> = Readonly<Record<string, SlashCommand<Session>>>;

/** State of a session that the commands below change. */
export interface SettingsSession {
  settings: SamplingSettings;
  /** Index of the next sample with this seed, which makes each sample different. */
  sample: number;
}

/** `/set`, common to all sessions; each setting is also a command of its own, such as `/temperature`. */
export const setCommand: SlashCommand<SettingsSession> = {
  argument: '[name [value]]',
  summary: 'show the settings or change one; without a value: reset it',
  run: set,
};

/** All slash commands, for completion with Tab. */
export const slashWords = (commands: SlashCommands<never>): string[] =>
  namesIn(commands).map((name) => `/${name} `);

const namesIn = (commands: SlashCommands<never>): string[] => [
  ...Object.keys(commands),
  ...settingNames.map(kebab),
];

/** What other programs call /quit. */
const ALSO_QUIT = ['exit', 'bye', 'q'];

/** Runs a line that starts with a slash. @throws UsageError if there is no such command */
export async function runSlashCommand<Session extends SettingsSession>(
  commands: SlashCommands<Session>,
  session: Session,
  line: string,
): Promise<boolean | void> {
  const [, typed, argument] = /^\/(\S*)\s*([^]*)$/.exec(line)!;
  const name = ALSO_QUIT.includes(typed) ? 'quit' : typed;
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command !== undefined) return command.run(session, argument);
  if (settingNames.some((setting) => kebab(setting) === name)) return set(session, `${name} ${argument}`);
  const near = closest(name, namesIn(commands));
  throw new UsageError('unknown-name', `there is no command /${name}`, {
    hint: `${near === undefined ? '' : `did you mean /${near}? `}/help lists the commands`,
  });
}

/** Prints the commands as a table. @param before says what a line of text does @param after lists the keys */
export function printSlashHelp(commands: SlashCommands<never>, before: string, after: string): void {
  const rows = Object.entries(commands).map(
    ([name, { argument = '', summary }]) => [`/${name} ${argument}`.trimEnd(), summary] as const,
  );
  printMessage(
    [
      before,
      factTable(rows, process.stderr),
      `${after} A setting can also be changed by its name: /temperature 0.5`,
    ].join('\n'),
  );
}

function set(session: SettingsSession, argument: string): void {
  const [, name, given] = /^(\S*)\s*(.*?)$/.exec(argument)!;
  if (name === '') {
    const rows = settingNames.map((each) => [kebab(each), describe(session.settings, each)] as const);
    printError(printable(factTable(rows, process.stderr)));
    return;
  }
  const setting = settingNames.find((each) => kebab(each) === name);
  if (setting === undefined)
    throw new UsageError('unknown-name', `there is no setting ${shownJson(name)}`, {
      hint: '/set lists them',
    });
  const { value, initial } = known[setting];
  const read = given === '' ? (initial ?? (setting === 'stop' ? [] : randomSeed())) : value.read(given);
  if (read === undefined)
    throw new UsageError('bad-option-value', `${name}: ${shownJson(given)} is not ${value.expected}`);
  session.settings = { ...session.settings, [setting]: setting === 'stop' ? [read].flat() : read };
  if (setting === 'seed') session.sample = 0;
  notice(printable(`${name}: ${describe(session.settings, setting)}`));
}

function describe(settings: SamplingSettings, name: SettingName): string {
  const value = settings[name];
  if (typeof value === 'number') return String(value);
  return value.length === 0 ? 'none' : value.map((each) => `"${escaped(each)}"`).join(' ');
}

/**
 * Writes a file named in a session. Only files written in the same session are overwritten.
 *
 * @param saved files written in this session so far
 * @throws UserError if the file exists
 */
export function saveNewFile(saved: Set<string>, file: string, content: string): void {
  if (file === '') throw new UsageError('missing-argument', '/save needs a file name');
  const path = resolve(file);
  if (existsSync(path) && !saved.has(path))
    throw new UserError('output-exists', `${file} already exists`, {
      hint: 'choose another file, or remove it first',
    });
  writeOutput(file, content);
  saved.add(path);
  notice(`Wrote ${printable(file)}`);
}
