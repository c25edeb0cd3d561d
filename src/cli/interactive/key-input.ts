import { emitKeypressEvents, type Key } from 'node:readline';

/** Reads single keys from the terminal. */
export interface KeyInput {
  /** Enters raw mode, in which Ctrl-C is a key instead of a signal. */
  start(): void;
  /** The name of the next key; enters raw mode if needed. */
  next(): Promise<string>;
  /** Whether Escape or Ctrl-C, which leave at once, is among the unread keys. Keys arrive when the event loop turns. */
  hasEscape(): boolean;
  /** Leaves raw mode. Unread keys are discarded. */
  end(): void;
}

export function openKeyInput(): KeyInput {
  const { stdin } = process;
  let keys: Key[] = [];
  let wake = (): void => {};
  let isOpen = false;
  const onKey = (_text: string | undefined, key: Key): void => {
    keys.push(key);
    wake();
  };
  const start = (): void => {
    if (isOpen) return;
    isOpen = true;
    emitKeypressEvents(stdin);
    stdin.setRawMode(true).on('keypress', onKey).resume();
  };
  return {
    start,
    hasEscape: () => keys.some((key) => nameOf(key) === 'escape'),
    async next() {
      start();
      while (keys.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      return nameOf(keys.shift()!);
    },
    end() {
      if (!isOpen) return;
      isOpen = false;
      keys = [];
      stdin.off('keypress', onKey).setRawMode(false).pause();
    },
  };
}

/** A printable ASCII character is its own name. Ctrl-C and Ctrl-D count as Escape. */
export function nameOf({ name, sequence = '', ctrl }: Key): string {
  const other = name ?? sequence;
  if (ctrl === true) return name === 'c' || name === 'd' ? 'escape' : other;
  return sequence.length === 1 && sequence > ' ' && sequence < '\x7f' ? sequence : other;
}
