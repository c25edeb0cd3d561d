/**
 * Writes files atomically: to a temporary name in the same folder, flushed to disk, renamed over the old file, and the
 * folder flushed. A crash at any instant leaves the old file or the new one.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  fdatasyncSync,
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
import { isSystemError, naming, UserError } from './errors.ts';

export type Bytes = Uint8Array | Uint16Array | Uint32Array | Float32Array;

/** Called while a file is written with the bytes written so far. */
export type Written = (bytes: number) => void;

/** Writes chunks to a path. */
export type FileWriter = (path: string, pieces: Iterable<Bytes | string>, written?: Written) => void;
/** `FileWriter` for chunks produced asynchronously, each of which is written before the next is requested. */
export type FileStreamer = (path: string, pieces: AsyncIterable<Bytes>, written?: Written) => Promise<void>;

/** write(2) takes at most 2³¹ − 1 bytes, on some systems less; larger writes gain nothing. */
const LARGEST_WRITE = 64 << 20;
/** In milliseconds. A file that takes longer to write is flushed after every LARGEST_WRITE bytes. */
const FLUSHED_FROM = 1000;

/** A file written under a temporary name; it appears at its path with `commit`. */
export class AtomicFile {
  readonly #path: string;
  readonly #temporary: string;
  readonly #fd: number;

  constructor(path: string) {
    this.#path = path;
    this.#temporary = `${path}.${process.pid}.tmp`;
    this.#fd = naming(path, () => openNew(this.#temporary));
  }

  /** Appends, or overwrites at a position in bytes. */
  write(bytes: Bytes, position?: number): void {
    naming(this.#path, () => writeAll(this.#fd, bytes, position));
  }

  /** Appends chunks. @param written receives the number of bytes written so far */
  appending(written?: Written): (chunk: Bytes | string) => void {
    const chunks = new ChunkWriter(this.#fd, written);
    return (chunk) => naming(this.#path, () => chunks.write(chunk));
  }

  /** Flushes the file and moves it to its path. On failure the temporary file is removed and the old file stays. */
  commit(): void {
    try {
      naming(this.#path, () => fsyncSync(this.#fd));
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

  /** Discards the new file; the old one stays. */
  abort(): void {
    closeSync(this.#fd);
    rmSync(this.#temporary, { force: true });
  }
}

/**
 * Creates a new file for writing. Anything at the path, left by a killed process with the same id or planted as a link, is
 * removed and never written to.
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

/** Atomically replaces `path` with these chunks. On failure the old file is unchanged and the error is thrown. */
export function writeFileAtomic(path: string, pieces: Iterable<Bytes | string>, written?: Written): void {
  const file = new AtomicFile(path);
  try {
    const append = file.appending(written);
    for (const piece of pieces) append(piece);
  } catch (error) {
    file.abort();
    throw error;
  }
  file.commit();
}

/** `writeFileAtomic` for chunks produced asynchronously. */
export const streamFileAtomic: FileStreamer = async (path, pieces, written) => {
  const file = new AtomicFile(path);
  try {
    const append = file.appending(written);
    for await (const piece of pieces) append(piece);
  } catch (error) {
    file.abort();
    throw error;
  }
  file.commit();
};

/** Writes and flushes a new file, for folders that nobody reads before they are complete. */
export function writeFileFlushed(path: string, pieces: Iterable<Bytes | string>, written?: Written): void {
  const fd = openSync(path, 'wx', 0o666);
  try {
    naming(path, () => {
      const chunks = new ChunkWriter(fd, written);
      for (const piece of pieces) chunks.write(piece);
      fsyncSync(fd);
    });
  } finally {
    closeSync(fd);
  }
}

/** `writeFileFlushed` for chunks produced asynchronously. */
export const streamFileFlushed: FileStreamer = async (path, pieces, written) => {
  const fd = openSync(path, 'wx', 0o666);
  try {
    const chunks = new ChunkWriter(fd, written);
    for await (const piece of pieces) naming(path, () => chunks.write(piece));
    naming(path, () => fsyncSync(fd));
  } finally {
    closeSync(fd);
  }
};

/**
 * Writes chunks in order. On a slow disk, the page cache would absorb all of them within a second and leave the waiting to
 * the final flush; flushing in between makes `written` count bytes that are on disk.
 */
class ChunkWriter {
  readonly #fd: number;
  readonly #written: Written | undefined;
  readonly #start = performance.now();
  #done = 0;
  #flushed = 0;

  constructor(fd: number, written: Written | undefined) {
    this.#fd = fd;
    this.#written = written;
  }

  write(chunk: Bytes | string): void {
    const bytes = bytesOf(chunk);
    for (let at = 0; at < bytes.length; at += LARGEST_WRITE) {
      const part = bytes.subarray(at, at + LARGEST_WRITE);
      writeAll(this.#fd, part);
      this.#done += part.length;
      if (this.#done - this.#flushed >= LARGEST_WRITE && performance.now() - this.#start > FLUSHED_FROM) {
        fdatasyncSync(this.#fd);
        this.#flushed = this.#done;
      }
      this.#written?.(this.#done);
    }
  }
}

const bytesOf = (piece: Bytes | string): Uint8Array =>
  typeof piece === 'string'
    ? Buffer.from(piece)
    : new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);

/** Writes all bytes; a single write may be partial (full disk, signal). */
export function writeAll(fd: number, piece: Bytes, position?: number): void {
  const bytes = bytesOf(piece);
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(LARGEST_WRITE, bytes.length - done);
    done += writeSync(fd, bytes, done, length, position === undefined ? null : position + done);
  }
}

/** Makes a rename durable by flushing the folder. Windows has no such call and does not need it. */
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
 * Gives a file a second, new name. Where the file system supports it, that is a hard link, which is safe because files are
 * replaced and never modified; elsewhere it is a flushed copy.
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

/** `linkFile` for a name that may be taken, which is replaced atomically. */
export function linkAtomic(from: string, to: string): void {
  const temporary = `${to}.${process.pid}.tmp`;
  rmSync(temporary, { force: true });
  naming(to, () => {
    linkFile(from, temporary);
    renameSync(temporary, to);
  });
  rmSync(temporary, { force: true }); // renaming one hard link to another does nothing
  syncFolder(dirname(to));
}

/**
 * Creates a folder and its parents. Node's `recursive` never returns if the system reports "no such folder" although the
 * parent exists, as Linux does under /proc.
 */
export function makeFolder(path: string): void {
  const existing = statSync(path, { throwIfNoEntry: false });
  if (existing?.isDirectory() === false)
    throw new UserError('wrong-file-kind', `${path} is a file, not a folder`, {
      hint: 'choose another folder',
    });
  if (existing !== undefined) return;
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent);
  mkdirSync(path);
}
