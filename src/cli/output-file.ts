/** A file that the user named for output. */
import { closeSync, lstatSync, openSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { writeAll, writeFileAtomic } from '../write-file.ts';

/**
 * Writes a file as a shell's redirection would: what is no regular file (a device, a named pipe) is written into, and a
 * symbolic link is followed. A regular file is replaced atomically.
 */
export function writeOutput(path: string, content: string): void {
  const existing = statSync(path, { throwIfNoEntry: false });
  if (existing === undefined || existing.isFile()) return writeFileAtomic(targetOf(path), [content]);
  const fd = openSync(path, 'w');
  try {
    writeAll(fd, Buffer.from(content));
  } finally {
    closeSync(fd);
  }
}

/** The path behind symbolic links, whether or not there is a file yet. A loop of links has failed at stat(2) before. */
function targetOf(path: string): string {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry?.isSymbolicLink() !== true) return path;
  return statSync(path, { throwIfNoEntry: false }) === undefined
    ? targetOf(resolve(dirname(path), readlinkSync(path)))
    : realpathSync(path);
}
