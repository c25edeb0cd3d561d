/** Files that others wrote, opened so that what they are is known before anything is read. */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { UserError } from './errors.ts';

/** Bytes asked of the system at once. */
export const READ_CHUNK = 16 << 20;

export interface OpenFile {
  readonly fd: number;
  /** In bytes. */
  readonly size: number;
}

/**
 * Opens a file for reading at any place of it. The caller closes `fd`.
 *
 * @throws UserError for a folder, a pipe or a device: they have no size, and some of them no end
 */
export function openRegularFile(path: string): OpenFile {
  // Otherwise opening a pipe would wait for somebody to write to it.
  const fd = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  const stat = fstatSync(fd);
  if (stat.isFile()) return { fd, size: stat.size };
  closeSync(fd);
  throw new UserError(`${path} is ${stat.isDirectory() ? 'a folder' : 'a pipe or a device'}, not a file`);
}

/** Fills `bytes` from a place in a file. @throws UserError if the file has become too short for it */
export function readInto(fd: number, path: string, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(READ_CHUNK, bytes.length - done);
    const count = readSync(fd, bytes, done, length, position + done);
    if (count === 0) throw new UserError(`${path} became shorter while it was read`);
    done += count;
  }
}

/**
 * All bytes of a file.
 *
 * @param limit in bytes; far above what such a file can need, so that memory is safe from a wrong one
 * @throws UserError that names the file, if it is larger or no regular file
 */
export function readWholeFile(path: string, limit: number): Buffer {
  const { fd, size } = openRegularFile(path);
  try {
    if (size > limit)
      throw new UserError(`${path} has ${size} bytes; at most ${limit} are read`, {
        hint: 'this is no file of that kind; use another copy',
      });
    const bytes = Buffer.alloc(size);
    readInto(fd, path, bytes, 0);
    return bytes;
  } finally {
    closeSync(fd);
  }
}

/** All of a file that must be UTF-8, as `readWholeFile` reads it; a byte order mark is left out. */
export function readTextFile(path: string, limit: number): string {
  const bytes = readWholeFile(path, limit);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new UserError(`${path} is not UTF-8 text`, { cause });
  }
}
