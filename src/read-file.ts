/** Files that others wrote, opened so that what they are is known before anything is read. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import { UserError } from './errors.ts';
import { shellQuoted } from './shell-quote.ts';

/** Bytes asked of the system at once. */
export const READ_CHUNK = 16 << 20;

export interface OpenFile {
  readonly fd: number;
  /** In bytes. */
  readonly size: number;
}

export interface Opening {
  /** For open(2), beside what is always set; reading if left out. */
  readonly flags?: number;
  /** Follows a symbolic link at the end of the path; true if left out. */
  readonly followsLinks?: boolean;
}

/**
 * Files of a run, which others may have made: a link there could name any file of the user's, and training appends to its
 * logs and truncates them.
 */
export const FILE_OF_RUN: Opening = { followsLinks: false };

/**
 * Opens a file for access at any position. The caller closes `fd`.
 *
 * @throws UserError for a folder, a pipe or a device: they have no size, and some of them no end; and for a link, unless it
 *   may be followed
 */
export function openRegularFile(
  path: string,
  { flags = constants.O_RDONLY, followsLinks = true }: Opening = {},
): OpenFile {
  // Without O_NONBLOCK, opening a pipe would wait for its other end.
  const always = (constants.O_NONBLOCK ?? 0) | (followsLinks ? 0 : (constants.O_NOFOLLOW ?? 0));
  if (!followsLinks) refuseLink(path);
  const fd = openSync(path, flags | always, 0o666);
  const stat = fstatSync(fd);
  if (stat.isFile()) return { fd, size: stat.size };
  closeSync(fd);
  throw new UserError(
    'wrong-file-kind',
    `${path} is ${stat.isDirectory() ? 'a folder' : 'a pipe or a device'}, not a file`,
  );
}

/** @throws UserError if the path is a symbolic link. O_NOFOLLOW alone would name no reason, and Windows has none. */
export function refuseLink(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return;
  const folder = shellQuoted(dirname(path));
  throw new UserError('symbolic-link', `${path} is a symbolic link; links in a run are not followed`, {
    hint: `copy the folder together with what it links to: cp -rL ${folder} ${shellQuoted(`${dirname(path)}-copy`)}`,
  });
}

/** Fills `bytes` from a place in a file. @throws UserError if the file has become too short for it */
export function readInto(fd: number, path: string, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(READ_CHUNK, bytes.length - done);
    const count = readSync(fd, bytes, done, length, position + done);
    if (count === 0) throw new UserError('damaged-file', `${path} became shorter while it was read`);
    done += count;
  }
}

/**
 * All bytes of a file.
 *
 * @param limit in bytes; far above what such a file can need, so that memory is safe from a wrong one
 * @throws UserError that names the file, if it is larger or no regular file
 */
export function readWholeFile(path: string, limit: number, opening: Opening = {}): Buffer {
  const { fd, size } = openRegularFile(path, opening);
  try {
    if (size > limit)
      throw new UserError('file-too-large', `${path} has ${size} bytes; at most ${limit} are read`, {
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
export function readTextFile(path: string, limit: number, opening: Opening = {}): string {
  const bytes = readWholeFile(path, limit, opening);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new UserError('not-text', `${path} is not UTF-8 text`, { cause });
  }
}
