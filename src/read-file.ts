/** Opens untrusted files so that their kind and size are known before anything is read. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from 'node:fs';
import { dirname } from 'node:path';
import { naming, UserError } from './errors.ts';
import { shellQuoted } from './shell-quote.ts';

/** Bytes per read. */
export const READ_CHUNK = 16 << 20;

export interface OpenFile {
  readonly fd: number;
  /** In bytes. */
  readonly size: number;
}

export interface Opening {
  /** Additional flags for open(2); default: reading. */
  readonly flags?: number;
  /** Follow a symbolic link at the end of the path; default true. */
  readonly followsLinks?: boolean;
}

/**
 * For files of a run, which may be untrusted: a link there could point to any file of the user, and training appends to
 * logs and truncates them.
 */
export const FILE_OF_RUN: Opening = { followsLinks: false };

/**
 * Opens a file for random access. The caller closes `fd`.
 *
 * @throws UserError for a folder, pipe or device, which have no size and perhaps no end, and for a link unless it may be
 * followed
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

/** @throws UserError if the path is a symbolic link. O_NOFOLLOW alone would not say why, and Windows lacks it. */
export function refuseLink(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return;
  const folder = shellQuoted(dirname(path));
  throw new UserError('symbolic-link', `${path} is a symbolic link; links in a run are not followed`, {
    hint: `copy the folder together with what it links to: cp -rL ${folder} ${shellQuoted(`${dirname(path)}-copy`)}`,
  });
}

/** Fills `bytes` from a position in a file. @throws UserError if the file is too short */
export function readInto(fd: number, path: string, bytes: Uint8Array, position: number): void {
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(READ_CHUNK, bytes.length - done);
    const count = naming(path, () => readSync(fd, bytes, done, length, position + done));
    if (count === 0)
      throw new UserError('damaged-file', `${path} became shorter while it was being read`, {
        hint: 'another program may be writing it: try again when it has finished',
      });
    done += count;
  }
}

/**
 * Reads a whole file.
 *
 * @param limit in bytes, far above any legitimate size, to protect memory
 * @throws UserError naming the file, if it is larger or not a regular file
 */
export function readWholeFile(path: string, limit: number, opening: Opening = {}): Buffer {
  const { fd, size } = openRegularFile(path, opening);
  try {
    if (size > limit)
      throw new UserError('file-too-large', `${path} has ${size} bytes; at most ${limit} are read`, {
        hint: 'it is far larger than such a file can be: use another copy',
      });
    const bytes = Buffer.alloc(size);
    readInto(fd, path, bytes, 0);
    return bytes;
  } finally {
    closeSync(fd);
  }
}

/** `readWholeFile` for UTF-8 text; a byte order mark is dropped. */
export function readTextFile(path: string, limit: number, opening: Opening = {}): string {
  const bytes = readWholeFile(path, limit, opening);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new UserError('not-text', `${path} is not UTF-8 text`, {
      cause,
      hint: 'save it as UTF-8, or use another copy',
    });
  }
}
