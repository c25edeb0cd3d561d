/** `gpt sample -i`: co-writing in turns. */
import { kebab } from '../../flag-name.ts';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { UsageError, UserError } from '../../errors.ts';
import type { Unk } from '../../generate/prompt.ts';
import { shownJson } from '../../json.ts';
import { commandLineTerms } from '../command-line-terms.ts';
import { factTable } from '../fact-table.ts';
import { printFailure } from '../errors.ts';
import { onInterrupt } from '../interrupt.ts';
import { closest } from '../../suggest.ts';
import { writeOutput } from '../output-file.ts';
import { notice, print, printable, printError, printMessage, stderrColors } from '../terminal.ts';
import { openLineInput, type LineInput } from './line-input.ts';
import { plainOutput, probabilityOutput } from './output.ts';
import { pickTokens } from './pick.ts';
import { encode, readPrompt } from './prompts.ts';
import { severalTexts } from './requests.ts';
import {
  escaped,
  escapedText,
  randomSeed,
  settingNames,
  settings as known,
  type SettingName,
  type SamplingSettings,
} from './sampling-settings.ts';
import { writeTexts, type Model } from './write.ts';
import { showWrapped } from './wrapped-output.ts';

export interface InteractiveFlags {
  readonly prompt?: string;
  readonly promptFile?: string;
  readonly encoding?: string;
  readonly unk: Unk;
  readonly pick?: true;
  readonly showProbs?: true;
  readonly alternatives: number;
}

interface TextState {
  readonly text: string;
  readonly turn: string;
}

/** State that commands change. */
interface InteractiveSession {
  readonly model: Model;
  readonly banned: ReadonlySet<number>;
  readonly flags: InteractiveFlags;
  readonly input: LineInput;
  settings: SamplingSettings;
  /** The text, and what the model's last part continues. */
  state: TextState;
  /** Earlier states, for /undo. */
  readonly history: TextState[];
  /** Index of the next sample with this seed, so that no two are equal. */
  sample: number;
  showProbs: boolean;
  /** Files saved in this session, which may be overwritten. */
  readonly saved: Set<string>;
}

interface SlashCommand {
  /** Placeholder for /help. */
  readonly argument?: string;
  readonly summary: string;
  /** Returns true to end the session. */
  run(session: InteractiveSession, argument: string): Promise<boolean | void> | boolean | void;
}

const commands: Readonly<Record<string, SlashCommand>> = {
  retry: { summary: 'generate the last part again with new random numbers', run: retry },
  undo: {
    summary: 'undo the last change: your line and its continuation',
    run: undo,
  },
  edit: { argument: '[text]', summary: 'edit the text; \\n is a line break', run: edit },
  new: { argument: '[text]', summary: 'start over', run: startOver },
  show: { summary: 'show the whole text', run: show },
  set: {
    argument: '[name [value]]',
    summary: 'show the settings or change one; without a value: reset it',
    run: set,
  },
  probs: { summary: 'toggle coloring tokens by probability', run: toggleProbabilities },
  pick: { summary: 'choose each token among the likeliest', run: pick },
  save: { argument: 'file', summary: 'write the text to a file', run: save },
  help: { summary: 'list the commands', run: help },
  quit: { summary: 'quit, like Ctrl-D', run: () => true },
};

/** Runs until the input ends or the user quits. */
export async function interact(
  model: Model,
  settings: SamplingSettings,
  banned: ReadonlySet<number>,
  flags: InteractiveFlags,
): Promise<void> {
  const words = [...Object.keys(commands), ...settingNames.map(kebab)].map((name) => `/${name} `);
  // Stdin provides the lines, so only a flag can give a prompt.
  const start = flags.prompt === undefined && flags.promptFile === undefined ? undefined : readPrompt(flags);
  const session: InteractiveSession = {
    model,
    banned,
    flags,
    input: openLineInput(words),
    settings,
    state: { text: start ?? '', turn: start ?? '' },
    history: [],
    sample: 0,
    showProbs: flags.showProbs === true,
    saved: new Set(),
  };
  try {
    if (session.input.live)
      notice(
        stderrColors.dim(
          'Type a text and the model continues it; Enter alone continues. /help lists the commands.',
        ),
      );
    if (flags.pick) await pick(session);
    else if (start !== undefined) await letModelWrite(session, start, start);
    while (!(await oneTurn(session)));
  } finally {
    session.input.close();
  }
}

/** Reads and executes a line; true if it was the last. A user error is printed and does not end the session. */
async function oneTurn(session: InteractiveSession): Promise<boolean> {
  const line = await session.input.line(stderrColors.cyan('> '));
  if (line === undefined) return true;
  try {
    if (line.startsWith('/')) return (await runCommand(session, line)) === true;
    const added = escapedText.read(line) ?? '';
    await letModelWrite(session, session.state.text + added, added);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    printFailure(error.in(commandLineTerms));
  }
  return false;
}

async function runCommand(session: InteractiveSession, line: string): Promise<boolean | void> {
  const [, name, argument] = /^\/(\S*)\s*(.*)$/.exec(line)!;
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command !== undefined) return command.run(session, argument);
  if (settingNames.some((setting) => kebab(setting) === name)) return set(session, `${name} ${argument}`);
  const near = closest(name, [...Object.keys(commands), ...settingNames.map(kebab)]);
  throw new UsageError('unknown-name', `there is no command /${name}`, {
    hint: `${near === undefined ? '' : `did you mean /${near}? `}/help lists the commands`,
  });
}

/** A change that /undo reverts as a whole. @param turn the text that the model's last part continues */
function change(session: InteractiveSession, text: string, turn = text): void {
  session.history.push(session.state);
  session.state = { text, turn };
}

/**
 * Lets the model continue a text, which becomes the session's text.
 *
 * @param shown end of the text, printed again before the new part
 */
async function letModelWrite(session: InteractiveSession, text: string, shown: string): Promise<void> {
  const { model, settings, banned, flags } = session;
  const { tokenizer } = model;
  const prompt = encode(tokenizer, text, flags.unk);
  const requests = severalTexts({ text: shown, ids: prompt.ids }, 1, session.sample++);
  const output = session.showProbs
    ? probabilityOutput(false, tokenizer, showWrapped())
    : plainOutput(false, showWrapped());
  const alternatives = session.showProbs ? flags.alternatives : undefined;
  const interrupt = onInterrupt();
  await writeTexts(
    model,
    requests,
    { settings, banned, alternatives, interrupted: () => interrupt.signal !== undefined },
    {
      ...output,
      async end(writing) {
        await output.end(writing);
        change(session, text + writing.written.text, text);
      },
    },
  );
  // Ctrl-C ends only this part.
  if (interrupt.signal === 'SIGINT') interrupt.dismiss();
  else interrupt.end();
}

async function retry(session: InteractiveSession): Promise<void> {
  const { turn } = session.state;
  await letModelWrite(session, turn, lastLine(turn));
}

/** The last line of a text, printed again before the part that continues it. */
const lastLine = (text: string): string => text.slice(text.lastIndexOf('\n') + 1);

async function undo(session: InteractiveSession): Promise<void> {
  const before = session.history.pop();
  if (before === undefined) throw new UsageError('nothing-to-do', 'there is nothing to undo');
  session.state = before;
  await show(session);
}

async function edit(session: InteractiveSession, argument: string): Promise<void> {
  const line =
    argument !== '' || !session.input.live
      ? argument
      : await session.input.line(stderrColors.cyan('edit> '), escaped(session.state.text));
  if (line === undefined) return;
  change(session, escapedText.read(line) ?? '');
  if (!session.input.live) await show(session);
}

async function startOver(session: InteractiveSession, argument: string): Promise<void> {
  const text = escapedText.read(argument) ?? '';
  if (text !== '') return letModelWrite(session, text, text);
  change(session, '');
}

async function show(session: InteractiveSession): Promise<void> {
  await showWrapped()(session.state.text);
  await print('\n');
}

function set(session: InteractiveSession, argument: string): void {
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

function toggleProbabilities(session: InteractiveSession): void {
  session.showProbs = !session.showProbs;
  notice(`Tokens are ${session.showProbs ? '' : 'not '}shown with their probabilities.`);
}

async function pick(session: InteractiveSession): Promise<void> {
  const { model, settings, banned, flags } = session;
  const prompt = encode(model.tokenizer, session.state.text, flags.unk);
  const added = await pickTokens(
    model,
    prompt,
    { ...settings, banned, sample: session.sample++ },
    session.input,
  );
  const { text } = session.state;
  if (added !== '') change(session, text + added, text);
  if (session.input.live) await show(session);
  else await print('\n');
}

function save(session: InteractiveSession, file: string): void {
  if (file === '') throw new UsageError('missing-argument', '/save needs a file name');
  const path = resolve(file);
  if (existsSync(path) && !session.saved.has(path))
    throw new UserError('output-exists', `${file} exists already`, {
      hint: 'name another file, or remove it first',
    });
  writeOutput(file, session.state.text);
  session.saved.add(path);
  notice(`Wrote ${printable(file)}`);
}

function help(): void {
  const rows = Object.entries(commands).map(
    ([name, { argument = '', summary }]) => [`/${name} ${argument}`.trimEnd(), summary] as const,
  );
  printMessage(
    [
      'A line of text is appended and the model continues; \\n is a line break. Enter alone: the model continues.',
      factTable(rows, process.stderr),
      'Ctrl-C stops the model. A setting can also be changed by its name: /temperature 0.5',
    ].join('\n'),
  );
}
