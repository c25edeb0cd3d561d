/** Lines and keys that a person types, or that come from a pipe. */
import { createInterface, emitKeypressEvents, type Interface, type Key } from 'node:readline';
import { PassThrough } from 'node:stream';
import { raise } from '../interrupt.ts';
import { canRedraw, notice } from '../terminal.ts';
import { createTypedText, PASTE_MARKS_OFF, PASTE_MARKS_ON } from './paste.ts';

export interface LineInput {
  /** Whether a person sits there. */
  readonly live: boolean;
  /**
   * The next line; undefined when there are no more.
   *
   * @param start what the line holds already, to be edited; a pipe has no use for it
   */
  line(prompt: string, start?: string): Promise<string | undefined>;
  /** The next key, by its name; from a pipe, the next line. Undefined when there are no more. */
  key(): Promise<string | undefined>;
  /** From now on keys are not read one by one any more. */
  endKeys(): void;
  close(): void;
}

/** @param complete the words that the Tab key offers */
export const openLineInput = (complete: readonly string[]): LineInput =>
  process.stdin.isTTY && canRedraw() ? terminalInput(complete) : pipeInput();

function pipeInput(): LineInput {
  const reader = createInterface({ input: process.stdin });
  const lines = reader[Symbol.asyncIterator]();
  const next = async (): Promise<string | undefined> => {
    const { value, done } = await lines.next();
    return done === true ? undefined : value;
  };
  return { live: false, line: next, key: next, endKeys() {}, close: () => reader.close() };
}

/**
 * A line is edited by Node's readline, which listens only as long as the line is typed: at other times the terminal is as usual,
 * so that Ctrl-C is a signal and what is typed ahead waits for the next line. Readline ends a line at the first line end, pasted
 * or typed, and drops what was read behind it; so it is given what paste.ts makes of the input.
 */
function terminalInput(complete: readonly string[]): LineInput {
  let history: string[] = [];
  let keys: (Key | undefined)[] = [];
  let wake = (): void => {};
  let readsKeys = false;
  const onKey = (_text: string | undefined, key: Key): void => {
    keys.push(key);
    wake();
  };
  const startKeys = (): void => {
    if (readsKeys) return;
    readsKeys = true;
    emitKeypressEvents(process.stdin);
    process.stdin.setRawMode(true).on('keypress', onKey).resume();
  };
  const endKeys = (): void => {
    if (!readsKeys) return;
    readsKeys = false;
    keys = [];
    process.stdin.off('keypress', onKey).setRawMode(false).pause();
  };

  const typed = createTypedText();
  const editLine = (prompt: string, start: string): Promise<string | undefined> =>
    new Promise((resolve) => {
      const stdin = process.stdin.setEncoding('utf8');
      const setRawMode = (isRaw: boolean): void => void stdin.setRawMode(isRaw);
      const input = Object.assign(new PassThrough({ encoding: 'utf8' }), { setRawMode });
      const feed = (text: string): void => void input.write(typed.push(text));
      const endInput = (): void => void input.end();
      const stopMarking = markPastes();
      const reader: Interface = createInterface({
        input,
        output: process.stderr,
        terminal: true,
        history: [...history],
        historySize: 1000,
        removeHistoryDuplicates: true,
        prompt,
        completer: (line: string) => [complete.filter((word) => line !== '' && word.startsWith(line)), line],
      });
      let answer: string | undefined;
      reader.on('history', (lines: string[]) => (history = [...lines]));
      reader.on('line', (line) => {
        answer = line;
        reader.close();
      });
      reader.on('SIGINT', () => {
        const hasText = reader.line !== '';
        process.stderr.write('\n');
        if (hasText) reader.write(null, { ctrl: true, name: 'e' });
        if (hasText) reader.write(null, { ctrl: true, name: 'u' });
        else notice('Ctrl-D or /quit leaves.');
        reader.prompt();
      });
      reader.on('close', () => {
        stdin.off('data', feed).off('end', endInput).pause();
        stopMarking();
        if (answer === undefined) process.stderr.write('\n');
        resolve(answer);
      });
      reader.prompt();
      if (start !== '') reader.write(start);
      typed.nextLine();
      stdin.on('data', feed).on('end', endInput).resume();
      feed('');
    });

  return {
    live: true,
    line(prompt, start = '') {
      endKeys();
      return editLine(prompt, start);
    },
    async key() {
      startKeys();
      while (keys.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      const key = keys.shift()!;
      if (key.ctrl === true) return key.name === 'c' || key.name === 'd' ? 'escape' : key.name;
      return key.sequence !== undefined &&
        key.sequence.length === 1 &&
        key.sequence > ' ' &&
        key.sequence < '\x7f'
        ? key.sequence
        : key.name;
    },
    endKeys,
    close: endKeys,
  };
}

/** Has pastes marked until the function returned is called, or the process ends, however it does. */
function markPastes(): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  const start = (): void => void process.stderr.write(PASTE_MARKS_ON);
  const stop = (): void => {
    process.stderr.write(PASTE_MARKS_OFF);
    process.off('exit', stop).off('SIGCONT', start);
    for (const signal of signals) process.off(signal, end);
  };
  const end = (signal: NodeJS.Signals): void => {
    stop();
    raise(signal);
  };
  process.on('exit', stop).on('SIGCONT', start); // the shell has modes of its own while a process is stopped
  for (const signal of signals) process.on(signal, end);
  start();
  return stop;
}
