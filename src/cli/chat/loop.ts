/** The loop of `gpt chat`: a line is a message or a command, and each message is answered. */
import { describeExpected, isExpected, printFailure, type Expected } from '../errors.ts';
import { noInput, openLineInput } from '../interactive/line-input.ts';
import { runSlashCommand, slashWords } from '../interactive/slash-commands.ts';
import { printJson } from '../json-output.ts';
import { escapedText, type SamplingSettings } from '../sampling-settings.ts';
import { notice, stderrColors } from '../terminal.ts';
import type { ChatModel } from './answer.ts';
import { commands } from './commands.ts';
import { answer, withSystem, type ChatSession } from './session.ts';

export interface ChatOptions {
  readonly system: string | undefined;
  /** The only message; undefined: one per line of the input. */
  readonly message: string | undefined;
  readonly json: boolean;
}

/** Answers one message, or runs until the input ends or the user quits. @throws UserError if the one cannot be answered */
export async function chat(
  model: ChatModel,
  settings: SamplingSettings,
  { system, message, json }: ChatOptions,
): Promise<void> {
  const session: ChatSession = {
    model,
    settings,
    json,
    input: message === undefined ? openLineInput(slashWords(commands)) : noInput,
    state: { messages: withSystem([], system), dropped: 0 },
    history: [],
    sample: 0,
    saved: new Set(),
  };
  if (message !== undefined) return answerMessage(session, message);
  try {
    if (session.input.live)
      notice(stderrColors.dim('Type a message and the model answers. /help lists the commands.'));
    while (!(await oneLine(session)));
  } finally {
    session.input.close();
  }
}

/** Reads and executes a line; true if it was the last. A user error is printed and does not end the session. */
async function oneLine(session: ChatSession): Promise<boolean> {
  const line = await session.input.line(stderrColors.cyan('> '));
  if (line === undefined) return true;
  const text = line.trim();
  if (text === '') return false;
  try {
    if (line.startsWith('/')) return (await runSlashCommand(commands, session, line)) === true;
    await answerMessage(session, escapedText.read(text)!);
  } catch (error) {
    if (!isExpected(error)) throw error;
    await reportFailure(session, line, error);
  }
  return false;
}

const answerMessage = (session: ChatSession, content: string): Promise<void> =>
  answer(session, [...session.state.messages, { role: 'user', content }]);

/**
 * Prints an error. With --json it is a JSON line, since the calling program waits for one per line of input. In a pipe, the exit
 * code becomes 1.
 */
async function reportFailure({ json, input }: ChatSession, line: string, error: Expected): Promise<void> {
  const { message, hint } = describeExpected(error);
  if (json) await printJson({ input: line, error: { code: error.code, message, hint } });
  else printFailure({ message, hint });
  if (!input.live) process.exitCode = 1;
}
