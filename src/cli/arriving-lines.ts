import { createReadStream } from 'node:fs';
import { startDecoding, type DecodingOptions } from '../data/decode-text.ts';
import { isSystemError } from '../errors.ts';

/** Lines of a file or of stdin, each available as soon as it arrives. */
export interface ArrivingLines {
  /** Removes and returns the oldest line that has arrived; undefined if there is none yet. @throws if reading has failed */
  next(): string | undefined;
  /** Waits for a line; false at the end. @throws if reading has failed */
  wait(): Promise<boolean>;
  close(): void;
}

/** Number of lines to buffer; the rest stays in the pipe. */
const AHEAD = 64;

/** @param file `-` for stdin */
export function openLines(file: string, options: DecodingOptions): ArrivingLines {
  const stream = file === '-' ? process.stdin : createReadStream(file);
  const name = file === '-' ? 'stdin' : file;
  const decoding = startDecoding(name, options);
  const lines: string[] = [];
  let rest = '';
  let hasEnded = false;
  let failure: unknown;
  let wake = (): void => {};
  const end = (error?: unknown): void => {
    if (isSystemError(error)) error.path ??= name;
    failure ??= error;
    hasEnded = true;
    wake();
  };
  const accept = (decode: () => string): void => {
    try {
      const pieces = (rest + decode()).split('\n');
      rest = pieces.pop() ?? '';
      for (const line of pieces) lines.push(line.replace(/\r$/, ''));
    } catch (error) {
      end(error);
    }
  };
  stream.on('data', (chunk: Uint8Array) => {
    accept(() => decoding.push(chunk));
    if (lines.length > AHEAD) stream.pause();
    wake();
  });
  stream.on('end', () => {
    accept(() => decoding.end());
    if (rest !== '') lines.push(rest);
    end();
  });
  stream.on('error', end);
  const isWaiting = (): boolean => lines.length === 0 && !hasEnded;
  return {
    next() {
      const line = lines.shift();
      if (line === undefined && failure !== undefined) throw failure;
      if (line !== undefined && lines.length < AHEAD && stream.isPaused()) stream.resume();
      return line;
    },
    async wait() {
      while (isWaiting()) await new Promise<void>((resolve) => (wake = resolve));
      return lines.length > 0 || failure !== undefined; // which next() throws
    },
    close() {
      stream.destroy();
      end();
    },
  };
}
