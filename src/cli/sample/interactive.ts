/** `gpt sample -i`: co-writing in turns. */
import { UsageError } from '../../errors.ts';
import type { Unk } from '../../generate/prompt.ts';
import { describeExpected, isExpected, printFailure } from '../errors.ts';
import { inSession } from '../interrupt.ts';
import { openLineInput, type LineInput } from '../interactive/line-input.ts';
import {
  printSlashHelp,
  runSlashCommand,
  saveNewFile,
  setCommand,
  slashWords,
  type SettingsSession,
  type SlashCommands,
} from '../interactive/slash-commands.ts';
import { showWrapped } from '../interactive/wrapped-output.ts';
import { escaped, escapedText, type SamplingSettings } from '../sampling-settings.ts';
import { notice, print, stderrColors, stdoutColors } from '../terminal.ts';
import { plainOutput, probabilityOutput } from './output.ts';
import { pickTokens } from './pick.ts';
import { encode, readPrompt } from './prompts.ts';
import { severalTexts } from './requests.ts';
import { ALTERNATIVES, writeTexts, type Model, type Output } from './write.ts';

export interface InteractiveFlags {
  readonly prompt?: string;
  readonly promptFile?: string;
  readonly encoding?: string;
  readonly unk: Unk;
  readonly pick?: true;
  readonly showProbs?: true;
  readonly alternatives?: number;
}

interface TextState {
  readonly text: string;
  readonly turn: string;
}

/** State that commands change. */
interface InteractiveSession extends SettingsSession {
  readonly model: Model;
  readonly banned: ReadonlySet<number>;
  readonly flags: InteractiveFlags;
  readonly input: LineInput;
  /** The text so far, and the text that the model last continued. */
  state: TextState;
  /** Earlier states, for /undo. */
  readonly history: TextState[];
  showProbs: boolean;
  /** Files saved in this session, which may be overwritten. */
  readonly saved: Set<string>;
}

const commands: SlashCommands<InteractiveSession> = {
  retry: { summary: 'generate the last part again with new random numbers', run: retry },
  undo: {
    summary: 'undo the last change: your line and its continuation',
    run: undo,
  },
  edit: { argument: '[text]', summary: 'edit the text; \\n is a line break', run: edit },
  new: { argument: '[text]', summary: 'start over', run: startOver },
  show: { summary: 'show the whole text', run: show },
  set: setCommand,
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
  // Stdin provides the lines, so only a flag can give a prompt.
  const start = flags.prompt === undefined && flags.promptFile === undefined ? undefined : readPrompt(flags);
  const session: InteractiveSession = {
    model,
    banned,
    flags,
    input: openLineInput(slashWords(commands)),
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
    if (line.startsWith('/')) return (await runSlashCommand(commands, session, line)) === true;
    const added = escapedText.read(line) ?? '';
    await letModelWrite(session, session.state.text + added, added);
  } catch (error) {
    if (!isExpected(error)) throw error;
    printFailure(describeExpected(error));
    if (!session.input.live) process.exitCode = 1;
  }
  return false;
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
  const hasTable = flags.alternatives !== undefined || !session.input.live || stdoutColors.level === 0;
  const output = session.showProbs
    ? probabilityOutput(false, tokenizer, showWrapped(), hasTable)
    : plainOutput(false, showWrapped());
  const alternatives = session.showProbs ? (flags.alternatives ?? ALTERNATIVES) : undefined;
  const changing: Output = {
    ...output,
    async end(writing) {
      await output.end(writing);
      change(session, text + writing.written.text, text);
    },
  };
  await inSession(session.input.live, (interrupted) =>
    writeTexts(model, requests, { settings, banned, alternatives, interrupted }, changing),
  );
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
  saveNewFile(session.saved, file, session.state.text);
}

function help(): void {
  printSlashHelp(
    commands,
    'A line of text is appended and the model continues; \\n is a line break. Enter alone: the model continues.',
    'Ctrl-C stops the model.',
  );
}
