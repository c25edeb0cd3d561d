/** Lines and keys, from a terminal or a pipe. */
import { openLines } from '../arriving-lines.ts';
import { canRedraw } from '../terminal.ts';
import { openKeyInput } from './key-input.ts';
import { createLineEditor } from './line-editor.ts';

export interface LineInput {
  /** The lines are typed on a terminal. */
  readonly live: boolean;
  /**
   * The next line; undefined at the end.
   *
   * @throws UserError if bytes from a pipe are not UTF-8
   * @param start initial content of the line; ignored for a pipe
   */
  line(prompt: string, start?: string): Promise<string | undefined>;
  /** Reads single keys from now on, Ctrl-C included; no effect on a pipe. */
  startKeys(): void;
  /** Whether Escape or Ctrl-C is among the unread keys. */
  hasEscape(): boolean;
  /** Name of the next key; for a pipe, the next line. Undefined at the end. */
  key(): Promise<string | undefined>;
  /** Stops reading single keys. */
  endKeys(): void;
  close(): void;
}

/** @param words completed by the Tab key */
export const openLineInput = (words: readonly string[]): LineInput =>
  process.stdin.isTTY && canRedraw() ? terminalInput(words) : pipeInput();

/** For a command that reads nothing. */
export const noInput: LineInput = {
  live: false,
  line: () => Promise.resolve(undefined),
  key: () => Promise.resolve(undefined),
  startKeys() {},
  hasEscape: () => false,
  endKeys() {},
  close() {},
};

function pipeInput(): LineInput {
  const lines = openLines('-', {});
  const next = async (): Promise<string | undefined> => ((await lines.wait()) ? lines.next() : undefined);
  return {
    live: false,
    line: next,
    key: next,
    startKeys() {},
    hasEscape: () => false,
    endKeys() {},
    close: () => lines.close(),
  };
}

function terminalInput(words: readonly string[]): LineInput {
  const editor = createLineEditor(words);
  const keys = openKeyInput();
  return {
    live: true,
    line(prompt, start = '') {
      keys.end();
      return editor.line(prompt, start);
    },
    startKeys: () => keys.start(),
    hasEscape: () => keys.hasEscape(),
    key: () => keys.next(),
    endKeys: () => keys.end(),
    close: () => keys.end(),
  };
}
