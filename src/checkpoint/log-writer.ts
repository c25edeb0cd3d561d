/**
 * A run's logs (logs.ts) as they are written: a line for each step, evaluation and other event, appended as they happen.
 * Their length is a part of every checkpoint, so that a run that goes on continues the very lines the checkpoint has seen.
 */
import { closeSync, constants, existsSync, fsyncSync, ftruncateSync } from 'node:fs';
import { FILE_OF_RUN, openRegularFile, readInto } from '../read-file.ts';
import { writeAll } from '../write-file.ts';

export class LogWriter {
  readonly #path: string;
  /** Bytes that are safely in the file. */
  #length: number;
  /** Lines that could not be written yet: the disk was full, say. */
  #pending = '';

  constructor(path: string, length = 0) {
    this.#path = path;
    this.#length = length;
  }

  /** Adds a line. If it cannot be written now, it is kept, and `flush` tells. */
  append(entry: Readonly<Record<string, unknown>>): void {
    this.#pending += `${JSON.stringify(entry)}\n`;
    try {
      this.#write(false);
    } catch {
      // the next flush tries again, and reports it
    }
  }

  /**
   * Brings all lines to the disk.
   *
   * @returns the length of the file in bytes
   * @throws the system's error if that is impossible
   */
  flush(): number {
    this.#write(true);
    return this.#length;
  }

  #write(flush: boolean): void {
    if (this.#pending === '' && (!flush || !existsSync(this.#path))) return;
    const flags = constants.O_RDWR | constants.O_CREAT;
    const { fd, size } = openRegularFile(this.#path, { ...FILE_OF_RUN, flags });
    try {
      const start = Math.min(this.#length, size); // another program may have truncated it
      const bytes = Buffer.from(this.#pending);
      writeAll(fd, bytes, start); // over what a failed attempt has left
      if (flush) fsyncSync(fd);
      this.#length = start + bytes.length;
      this.#pending = '';
    } finally {
      closeSync(fd);
    }
  }
}

/** In bytes; far more than the longest line of a log. */
const LONGEST_LINE = 1 << 16;

/**
 * Cuts a log back to a checkpoint's length, and to whole lines if it is shorter: a machine that went down may lose the last
 * ones.
 */
export function resumeLog(path: string, length: number): LogWriter {
  if (!existsSync(path)) return new LogWriter(path);
  const { fd, size } = openRegularFile(path, { ...FILE_OF_RUN, flags: constants.O_RDWR });
  try {
    const kept = size >= length ? length : endOfLastLine(fd, path, size);
    ftruncateSync(fd, kept);
    fsyncSync(fd);
    return new LogWriter(path, kept);
  } finally {
    closeSync(fd);
  }
}

/** Length of a file up to its last complete line, in bytes. */
function endOfLastLine(fd: number, path: string, size: number): number {
  const block = Buffer.alloc(LONGEST_LINE);
  for (let end = size; end > 0; end -= block.length) {
    const start = Math.max(0, end - block.length);
    const bytes = block.subarray(0, end - start);
    readInto(fd, path, bytes, start);
    const at = bytes.lastIndexOf(0x0a);
    if (at >= 0) return start + at + 1;
  }
  return 0;
}

/** How a run ended: what the last line of its metrics says, if it comes after a checkpoint's part of the file. */
export function endOf(path: string, checkpointLength: number): string | undefined {
  if (!existsSync(path)) return undefined;
  const { fd, size } = openRegularFile(path, FILE_OF_RUN);
  try {
    const start = Math.max(checkpointLength, size - LONGEST_LINE);
    const tail = Buffer.alloc(Math.max(0, size - start));
    readInto(fd, path, tail, start);
    const last = JSON.parse(tail.toString().trimEnd().split('\n').at(-1) ?? '') as { end?: unknown } | null;
    return typeof last?.end === 'string' ? last.end : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // no line, or half of one
    throw error;
  } finally {
    closeSync(fd);
  }
}
