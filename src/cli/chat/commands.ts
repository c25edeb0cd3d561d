/** Commands such as `/retry` in a chat. */
import { isConversation, readConversation, type Conversation } from '../../chat/conversation.ts';
import { UsageError, UserError } from '../../errors.ts';
import { formatCountOf, formatNumber } from '../../format.ts';
import { parseJsonObject } from '../../json.ts';
import { readTextFile } from '../../read-file.ts';
import {
  printSlashHelp,
  saveNewFile,
  setCommand,
  type SlashCommands,
} from '../interactive/slash-commands.ts';
import { printJson } from '../json-output.ts';
import { escapedText } from '../sampling-settings.ts';
import { forStdout, notice, print, printable, stdoutColors } from '../terminal.ts';
import { answer, change, withSystem, type ChatSession } from './session.ts';

/** Size limit of a conversation file, in bytes. */
const LARGEST_FILE = 2 ** 28;

export const commands: SlashCommands<ChatSession> = {
  retry: { summary: 'answer your last message again, with new random numbers', run: retry },
  undo: { summary: 'undo the last change, such as your message and its answer', run: undo },
  new: { summary: 'start over; the system message stays', run: startOver },
  system: {
    argument: '[text]',
    summary: 'set the system message; without text: remove it',
    run: setSystem,
  },
  show: { summary: 'show the whole conversation', run: show },
  set: setCommand,
  save: { argument: 'file', summary: 'write the conversation as a line of JSON, for gpt train', run: save },
  load: { argument: 'file', summary: 'continue the first conversation of such a file', run: load },
  help: { summary: 'list the commands', run: help },
  quit: { summary: 'quit, like Ctrl-D', run: () => true },
};

async function retry(session: ChatSession): Promise<void> {
  const { messages } = session.state;
  const asked = messages.at(-1)?.role === 'assistant' ? messages.slice(0, -1) : messages;
  if (asked.at(-1)?.role !== 'user')
    throw new UsageError('nothing-to-do', 'there is no message to answer again');
  await answer(session, asked);
}

async function undo(session: ChatSession): Promise<void> {
  const before = session.history.pop();
  if (before === undefined) throw new UsageError('nothing-to-do', 'there is nothing to undo');
  session.state = before;
  if (session.json) return;
  if (before.messages.length === 0) notice('The conversation is empty.');
  else await show(session);
}

function startOver(session: ChatSession): void {
  change(
    session,
    session.state.messages.filter(({ role }) => role === 'system'),
  );
}

function setSystem(session: ChatSession, argument: string): void {
  const { messages, dropped } = session.state;
  change(session, withSystem(messages, escapedText.read(argument)), dropped);
}

async function show({ state: { messages }, json }: ChatSession): Promise<void> {
  if (json) return printJson({ messages });
  for (const { role, content } of messages) {
    const text = forStdout(content);
    await print(
      `${role === 'assistant' ? text : stdoutColors.bold(`${role === 'user' ? '>' : 'system:'} ${text}`)}\n`,
    );
  }
}

function save({ state: { messages }, saved }: ChatSession, file: string): void {
  if (messages.length === 0) throw new UsageError('nothing-to-do', 'the conversation is empty');
  saveNewFile(saved, file, `${JSON.stringify({ messages })}\n`);
}

async function load(session: ChatSession, file: string): Promise<void> {
  if (file === '') throw new UsageError('missing-argument', '/load needs a file name');
  const { conversation, count } = readFirst(file);
  const isOpen = conversation.at(-1)?.role === 'user';
  change(session, isOpen ? conversation.slice(0, -1) : conversation);
  notice(
    `Loaded ${formatCountOf(conversation.length, 'message')} from ${printable(file)}${count > 1 ? `, the first of ${formatNumber(count)} conversations` : ''}`,
  );
  // The next line would otherwise be a second message of the user in a row.
  if (isOpen) await answer(session, conversation);
}

/** The first conversation of a file of JSON lines, and how many there are. */
function readFirst(file: string): { readonly conversation: Conversation; readonly count: number } {
  const lines = readTextFile(file, LARGEST_FILE)
    .split('\n')
    .filter((line) => line.trim() !== '');
  const fail = (what: string): never => {
    throw new UserError('damaged-file', `${file}: the first line ${what}`, {
      hint: 'a conversation is a line such as {"messages": [{"role": "user", "content": "Hi"}]}, as /save writes it',
    });
  };
  if (lines.length === 0) throw new UserError('empty-text', `${file} has no conversation`);
  const object = parseJsonObject(lines[0], fail);
  if (!isConversation(object)) fail('has no list of "messages"');
  return { conversation: readConversation(object, fail), count: lines.length };
}

function help(): void {
  printSlashHelp(
    commands,
    'A line is a message to the model; \\n is a line break. A message that starts with / needs a space before it.',
    'Ctrl-C stops an answer.',
  );
}
