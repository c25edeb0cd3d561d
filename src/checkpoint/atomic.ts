/**
 * Writing files so that nobody ever sees half of one: to a temporary name in the same folder, flushed to the disk, then
 * renamed over the old file, then the folder itself flushed. A crash at any instant leaves the old file or the new one.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

export type Bytes = Uint8Array | Uint16Array | Uint32Array | Float32Array;

/** One write(2) takes at most 2³¹ − 1 bytes, and some systems less: far below that, nothing is gained by more. */
const LARGEST_WRITE = 64 << 20;

/** A file being written under a temporary name. Nothing is visible at its path before `commit`. */
export class AtomicFile {
  readonly #path: string;
  readonly #temporary: string;
  readonly #fd: number;

  constructor(path: string) {
    this.#path = path;
    this.#temporary = `${path}.${process.pid}.tmp`;
    this.#fd = openSync(this.#temporary, 'w', 0o666);
  }

  /** Writes behind what was written so far; or over it, at a position in bytes. */
  write(bytes: Bytes, position?: number): void {
    writeAll(this.#fd, bytes, position);
  }

  /** Flushes the file and puts it in its place. */
  commit(): void {
    fsyncSync(this.#fd);
    closeSync(this.#fd);
    renameSync(this.#temporary, this.#path);
    syncFolder(dirname(this.#path));
  }

  /** Gives up: what was at the path before is still there. */
  abort(): void {
    closeSync(this.#fd);
    removeIfThere(this.#temporary);
  }
}

/** Replaces `path` with these pieces, one behind the other. On failure the old file is untouched and the error is thrown. */
export function writeFileAtomic(path: string, pieces: Iterable<Bytes | string>): void {
  const file = new AtomicFile(path);
  try {
    for (const piece of pieces) file.write(typeof piece === 'string' ? Buffer.from(piece) : piece);
  } catch (error) {
    file.abort();
    throw error;
  }
  file.commit();
}

/** A write may take less than it was given (a full disk, a signal): goes on until all is written or there is an error. */
function writeAll(fd: number, piece: Bytes, position?: number): void {
  const bytes = new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(LARGEST_WRITE, bytes.length - done);
    done += writeSync(fd, bytes, done, length, position === undefined ? null : position + done);
  }
}

/** Makes a rename last: it is the folder that holds the names. Windows has no such call, and does not need it. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Removes what killed processes left half-written in a folder; files of processes that still run stay. */
export function sweepTemporaries(folder: string): void {
  for (const file of readdirSync(folder)) {
    const pid = /\.(\d+)\.tmp$/.exec(basename(file))?.[1];
    if (pid !== undefined && !isRunning(Number(pid))) removeIfThere(join(folder, file));
  }
}

function isRunning(pid: number): boolean {
  if (pid === process.pid) return false; // ours, and we have just started
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Makes a folder and those above it. Node's own `recursive` never returns where a system answers "no such folder" for a
 * folder whose parent exists, as Linux does under /proc.
 */
export function makeFolder(path: string): void {
  if (existsSync(path)) return;
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent);
  mkdirSync(path);
}
