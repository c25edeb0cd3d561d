/** Writes to an output file given by the user. */
import {
  closeSync,
  existsSync,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
  statSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';
import { naming, UserError } from '../errors.ts';
import { openRegularFile } from '../read-file.ts';
import { shellQuoted } from '../shell-quote.ts';
import { writeAll, writeFileAtomic } from '../write-file.ts';

/** What a file holds, so that only an earlier one like it is replaced: a typing error must not cost a model or a text. */
export interface Kind {
  /** For the message: `a web page`. */
  readonly name: string;
  /** @param start the first characters of an existing file */
  readonly has: (start: string) => boolean;
}

/**
 * Writes a file with the semantics of a shell redirection: devices and named pipes are written to, symbolic links are
 * followed. A regular file is replaced atomically, if it is empty or of the same kind.
 *
 * @throws UserError if the folder does not exist, or the file is of another kind; otherwise a system error that names the path
 */
export function writeOutput(path: string, content: string, kind?: Kind): void {
  const existing = statSync(path, { throwIfNoEntry: false });
  if (existing === undefined || existing.isFile()) {
    if (kind !== undefined && existing !== undefined && existing.size > 0) refuseOther(path, kind);
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

function refuseOther(path: string, { name, has }: Kind): void {
  if (has(startOf(path))) return;
  throw new UserError('output-exists', `${path} exists and is not ${name}`, {
    hint: 'choose another file, or remove it first',
  });
}

/** The first bytes of a file as text. */
function startOf(path: string): string {
  const { fd } = openRegularFile(path);
  try {
    const bytes = Buffer.alloc(256);
    return bytes.toString('utf8', 0, readSync(fd, bytes));
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
