/** A file that the user named for output. */
import { closeSync, existsSync, lstatSync, openSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { UserError } from '../errors.ts';
import { shellQuoted } from '../shell-quote.ts';
import { writeAll, writeFileAtomic } from '../write-file.ts';

/**
 * Writes a file as a shell's redirection would: what is no regular file (a device, a named pipe) is written into, and a
 * symbolic link is followed. A regular file is replaced atomically.
 *
 * @throws UserError if the folder does not exist; a system error that names the path, for anything else
 */
export function writeOutput(path: string, content: string): void {
  const existing = statSync(path, { throwIfNoEntry: false });
  if (existing === undefined || existing.isFile()) {
    const target = targetOf(path);
    refuseMissingFolder(path, dirname(target));
    return writeFileAtomic(target, [content]);
  }
  const fd = openSync(path, 'w');
  try {
    writeAll(fd, Buffer.from(content));
  } finally {
    closeSync(fd);
  }
}

/** A folder is not made here: its name may be a typing error. */
function refuseMissingFolder(path: string, folder: string): void {
  if (existsSync(folder)) return;
  throw new UserError('write-failed', `${path} cannot be written: there is no folder ${folder}`, {
    hint: `make it first: mkdir -p ${shellQuoted(folder)}`,
  });
}

/** The path behind symbolic links, whether or not there is a file yet. A loop of links has failed at stat(2) before. */
function targetOf(path: string): string {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry?.isSymbolicLink() !== true) return path;
  return statSync(path, { throwIfNoEntry: false }) === undefined
    ? targetOf(resolve(dirname(path), readlinkSync(path)))
    : realpathSync(path);
}
