/**
 * Writing files so that nobody ever sees half of one: to a temporary name in the same folder, flushed to the disk, then
 * renamed over the old file, then the folder itself flushed. A crash at any instant leaves the old file or the new one.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { isSystemError, UserError } from './errors.ts';

export type Bytes = Uint8Array | Uint16Array | Uint32Array | Float32Array;

/** Writes pieces, one behind the other, to a path. */
export type FileWriter = (path: string, pieces: Iterable<Bytes | string>) => void;

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
    this.#fd = naming(path, () => openNew(this.#temporary));
  }

  /** Writes behind what was written so far; or over it, at a position in bytes. */
  write(bytes: Bytes, position?: number): void {
    writeAll(this.#fd, bytes, position);
  }

  /** Flushes the file and puts it in its place. On failure the temporary file is gone and what was there is untouched. */
  commit(): void {
    try {
      fsyncSync(this.#fd);
    } catch (error) {
      this.abort();
      throw error;
    }
    closeSync(this.#fd);
    try {
      naming(this.#path, () => renameSync(this.#temporary, this.#path));
    } catch (error) {
      rmSync(this.#temporary, { force: true });
      throw error;
    }
    syncFolder(dirname(this.#path));
  }

  /** Gives up: what was at the path before is still there. */
  abort(): void {
    closeSync(this.#fd);
    rmSync(this.#temporary, { force: true });
  }
}

/** Makes a system error name the file that is being written: nobody knows its temporary name. */
export function naming<T>(path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (isSystemError(error)) error.path = path;
    throw error;
  }
}

/**
 * Opens a new file for writing. What is at the path, left by a killed process of the same number or planted there as a
 * link, is removed and never written to.
 */
function openNew(path: string): number {
  try {
    return openSync(path, 'wx', 0o666);
  } catch (error) {
    if (!isSystemError(error) || error.code !== 'EEXIST') throw error;
    rmSync(path, { recursive: true });
    return openSync(path, 'wx', 0o666);
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

/** Writes a new file and flushes it: for a folder that nobody looks into before all of it is there. */
export function writeFileFlushed(path: string, pieces: Iterable<Bytes | string>): void {
  const fd = openSync(path, 'wx', 0o666);
  try {
    for (const piece of pieces) writeAll(fd, typeof piece === 'string' ? Buffer.from(piece) : piece);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Writes all bytes: a single write may take fewer than it was given (a full disk, a signal). */
export function writeAll(fd: number, piece: Bytes, position?: number): void {
  const bytes = new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(LARGEST_WRITE, bytes.length - done);
    done += writeSync(fd, bytes, done, length, position === undefined ? null : position + done);
  }
}

/** Makes a rename last: it is the folder that holds the names. Windows has no such call, and does not need it. */
export function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const fd = openSync(folder, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/**
 * Gives the file at `from` a second name, `to`, which must be new. Both share the bytes on the disk where the file system
 * can do that, which is safe because files are replaced here and never changed; elsewhere it is a flushed copy.
 */
export function linkFile(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if (isSystemError(error) && (error.code === 'ENOENT' || error.code === 'EEXIST')) throw error;
    copyFileSync(from, to, constants.COPYFILE_EXCL);
    const fd = openSync(to, 'r+');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  }
}

/** The same for a name that may be taken: what was there before is replaced atomically. */
export function linkAtomic(from: string, to: string): void {
  const temporary = `${to}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  linkFile(from, temporary);
  renameSync(temporary, to);
  rmSync(temporary, { force: true }); // renaming one name of a file to another name of it does nothing
  syncFolder(dirname(to));
}

/**
 * Makes a folder and those above it. Node's own `recursive` never returns where a system answers "no such folder" for a
 * folder whose parent exists, as Linux does under /proc.
 */
export function makeFolder(path: string): void {
  const existing = statSync(path, { throwIfNoEntry: false });
  if (existing?.isDirectory() === false)
    throw new UserError('wrong-file-kind', `${path} is a file, not a folder`);
  if (existing !== undefined) return;
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent);
  mkdirSync(path);
}
