/**
 * Writes a run's logs (logs.ts), one line per event. Their length is part of every checkpoint, so a resumed run continues
 * after the lines the checkpoint has seen.
 */
import { closeSync, constants, existsSync, fsyncSync, ftruncateSync } from 'node:fs';
import { isJsonObject } from '../json.ts';
import { FILE_OF_RUN, openRegularFile, readInto } from '../read-file.ts';
import { GrowingFile } from './growing-file.ts';

export class LogWriter {
  readonly #file: GrowingFile;

  constructor(path: string, length = 0) {
    this.#file = new GrowingFile(path, length);
  }

  /**
   * Appends a line. If writing fails, the line is kept and `flush` reports the error.
   *
   * @param elapsed seconds, added as the field `elapsed_seconds`
   */
  append(entry: Readonly<Record<string, unknown>>, elapsed?: number): void {
    const line = JSON.stringify(entry);
    this.#file.add(Buffer.from(`${elapsed === undefined ? line : withElapsed(line, elapsed)}\n`));
    try {
      this.#file.write(false);
    } catch {
      // the next flush retries and reports it
    }
  }

  /**
   * Writes and flushes all lines.
   *
   * @returns length of the file in bytes
   * @throws a system error if that fails
   */
  flush(): number {
    this.#file.write(true);
    return this.#file.length;
  }
}

/**
 * The time is padded to a fixed width: checkpoints record the log's length, which must not depend on how long steps take if
 * repeated runs are to have identical checkpoints.
 */
const withElapsed = (line: string, seconds: number): string =>
  `${line.slice(0, -1)},"elapsed_seconds":${seconds.toFixed(3).padStart(ELAPSED_WIDTH)}}`;

/** Room for 99,999,999.999 seconds, which is three years. */
const ELAPSED_WIDTH = 12;

/** In bytes; far more than the longest line of a log. */
const LONGEST_LINE = 1 << 16;

/**
 * Truncates a log to a checkpoint's length. If the log is shorter, because a system crash lost its end, it is truncated to
 * whole lines.
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

/** End of the last complete line, in bytes. */
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

/** How a run ended, from the last line of its metrics if that comes after the checkpoint's part of the file. */
export function endOf(path: string, checkpointLength: number): string | undefined {
  const end = lastLine(path, checkpointLength)?.['end'];
  return typeof end === 'string' ? end : undefined;
}

/** How a complete run ended; undefined if it is still training, was interrupted or diverged. @param path of its metrics */
export function completionOf(path: string): 'finished' | 'stopped early' | undefined {
  const end = endOf(path, 0);
  return end === 'finished' || end === 'stopped early' ? end : undefined;
}

/** The `elapsed_seconds` of the last line; undefined if it has none, as in older logs. */
export function elapsedOf(path: string): number | undefined {
  const elapsed = lastLine(path)?.['elapsed_seconds'];
  return typeof elapsed === 'number' ? elapsed : undefined;
}

/** The last line of a log; undefined if it is not a JSON object, or if there is none after the first `from` bytes. */
function lastLine(path: string, from = 0): Readonly<Record<string, unknown>> | undefined {
  if (!existsSync(path)) return undefined;
  const { fd, size } = openRegularFile(path, FILE_OF_RUN);
  try {
    const start = Math.max(from, size - LONGEST_LINE);
    const tail = Buffer.alloc(Math.max(0, size - start));
    readInto(fd, path, tail, start);
    const last: unknown = JSON.parse(tail.toString().trimEnd().split('\n').at(-1) ?? '');
    return isJsonObject(last) ? last : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // no line or an incomplete one
    throw error;
  } finally {
    closeSync(fd);
  }
}
