import { createInterface } from 'node:readline';
import { PassThrough } from 'node:stream';
import { raise } from '../interrupt.ts';
import { notice } from '../terminal.ts';
import { createTypedText, PASTE_MARKS_OFF, PASTE_MARKS_ON, type TypedText } from './paste.ts';

/**
 * Line editing with Node's readline.
 *
 * Readline is active only while a line is being typed. At other times the terminal is in its usual mode, so Ctrl-C is a
 * signal and type-ahead waits for the next line. Readline ends a line at the first line end, pasted or typed, and drops the
 * rest of that read; paste.ts therefore filters its input.
 */
export interface LineEditor {
  /** The next line; undefined after Ctrl-D. @param start initial content of the line */
  line(prompt: string, start: string): Promise<string | undefined>;
}

/** @param words completed by the Tab key */
export function createLineEditor(words: readonly string[]): LineEditor {
  const typed = createTypedText();
  let history: readonly string[] = [];
  return {
    line(prompt, start) {
      const source = openTypedInput(typed);
      const reader = createInterface({
        input: source.input,
        output: process.stderr,
        terminal: true,
        history: [...history],
        historySize: 1000,
        removeHistoryDuplicates: true,
        prompt,
        completer: (line: string) => [words.filter((word) => line !== '' && word.startsWith(line)), line],
      });
      const answered = new Promise<string | undefined>((resolve) => {
        let answer: string | undefined;
        reader.on('history', (lines: string[]) => (history = [...lines]));
        reader.on('line', (line) => {
          answer = line;
          reader.close();
        });
        reader.on('SIGINT', () => clearLine(reader));
        reader.on('close', () => {
          source.close();
          if (answer === undefined) process.stderr.write('\n');
          resolve(answer);
        });
      });
      reader.prompt();
      if (start !== '') reader.write(start);
      source.start();
      return answered;
    },
  };
}

/** Ctrl-C discards the line. On an empty line it explains how to quit. */
function clearLine(reader: ReturnType<typeof createInterface>): void {
  process.stderr.write('\n');
  if (reader.line === '') notice('Press Ctrl-D or type /quit to leave.');
  else {
    reader.write(null, { ctrl: true, name: 'e' });
    reader.write(null, { ctrl: true, name: 'u' });
  }
  reader.prompt();
}

/** Standard input for one line of readline, with pasted line breaks replaced. */
function openTypedInput(typed: TypedText) {
  const stdin = process.stdin.setEncoding('utf8');
  const setRawMode = (isRaw: boolean): void => void stdin.setRawMode(isRaw);
  const input = Object.assign(new PassThrough({ encoding: 'utf8' }), { setRawMode });
  const feed = (text: string): void => void input.write(typed.push(text));
  const endInput = (): void => void input.end();
  const stopMarking = markPastes();
  return {
    input,
    /** Starts with the type-ahead. */
    start() {
      typed.nextLine();
      stdin.on('data', feed).on('end', endInput).resume();
      feed('');
    },
    close() {
      stdin.off('data', feed).off('end', endInput).pause();
      stopMarking();
    },
  };
}

/** Enables bracketed paste mode until the returned function is called or the process ends, even by a signal. */
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
  process.on('exit', stop).on('SIGCONT', start); // the shell resets the mode while the process is stopped
  for (const signal of signals) process.on(signal, end);
  start();
  return stop;
}
