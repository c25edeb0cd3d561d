/** Writes to an output file given by the user. */
import { closeSync, existsSync, lstatSync, openSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { naming, UserError } from '../errors.ts';
import { shellQuoted } from '../shell-quote.ts';
import { writeAll, writeFileAtomic } from '../write-file.ts';

/**
 * Writes a file with the semantics of a shell redirection: devices and named pipes are written to, symbolic links are
 * followed. A regular file is replaced atomically.
 *
 * @throws UserError if the folder does not exist; otherwise a system error that names the path
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
    naming(path, () => writeAll(fd, Buffer.from(content)));
  } finally {
    closeSync(fd);
  }
}

/** Folders are not created, because a missing one may be a typing error. */
function refuseMissingFolder(path: string, folder: string): void {
  if (existsSync(folder)) return;
  throw new UserError('write-failed', `${path} cannot be written: the folder ${folder} does not exist`, {
    hint: `create it first: mkdir -p ${shellQuoted(folder)}`,
  });
}

/** Resolves symbolic links, whether or not the target exists. stat(2) has ruled out a loop. */
function targetOf(path: string): string {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry?.isSymbolicLink() !== true) return path;
  return statSync(path, { throwIfNoEntry: false }) === undefined
    ? targetOf(resolve(dirname(path), readlinkSync(path)))
    : realpathSync(path);
}
