/** Lines and keys that a person types, or that come from a pipe. */
import { createInterface, emitKeypressEvents, type Interface, type Key } from 'node:readline';
import { canRedraw, notice } from '../terminal.ts';

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
 * so that Ctrl-C is a signal and what is typed ahead waits for the next line.
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

  const editLine = (prompt: string, start: string): Promise<string | undefined> =>
    new Promise((resolve) => {
      const reader: Interface = createInterface({
        input: process.stdin,
        output: process.stderr,
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
        if (answer === undefined) process.stderr.write('\n');
        resolve(answer);
      });
      reader.prompt();
      if (start !== '') reader.write(start);
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
