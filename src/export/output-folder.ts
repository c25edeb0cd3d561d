/**
 * Writes a folder atomically: under a temporary name next to it, flushed, and renamed. If the folder exists, the files are
 * moved into it one by one, each atomically and the weights last.
 */
import { existsSync, lstatSync, mkdirSync, readdirSync, realpathSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { checkpointsOf } from '../checkpoint/checkpoint-folders.ts';
import { isRunning } from '../checkpoint/lock.ts';
import { isSystemError, UserError } from '../errors.ts';
import { optionName } from '../messages.ts';
import { shellQuoted } from '../shell-quote.ts';
import { makeFolder, syncFolder } from '../write-file.ts';

interface Destination {
  readonly output: string;
  /** Write into a folder that is not empty. */
  readonly force: boolean;
  /** Folder of the model that is exported, which is never written to. */
  readonly source: string;
}

/**
 * @param write writes files into the folder that it is given, and returns their names in the order in which they are moved
 * @returns the paths of the files
 * @throws UserError before anything is written, if the output must not be written to
 */
export function writeFolder(
  { output: given, force, source }: Destination,
  write: (folder: string) => readonly string[],
): string[] {
  const output = given.replace(/(?<=[^/\\])[/\\]+$/, '');
  const isThere = existsSync(output);
  if (isThere) refuseOccupied(output, { force, source });
  refuseMissingParent(output);
  const temporary = `${output}.${process.pid}.tmp`;
  sweepTemporaries(output);
  try {
    mkdirSync(temporary);
    const names = write(temporary);
    syncFolder(temporary);
    if (isThere) for (const name of names) renameSync(join(temporary, name), join(output, name));
    else renameSync(temporary, output);
    syncFolder(isThere ? output : dirname(output));
    return names.map((name) => join(output, name));
  } catch (error) {
    throw withFinalPath(error, temporary, output);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function refuseOccupied(output: string, { force, source }: Omit<Destination, 'output'>): void {
  makeFolder(output); // throws if it is a file
  if (!force && readdirSync(output).length > 0) throw outputExists(output);
  if (realpathSync(output) === realpathSync(source) || checkpointsOf(output).length > 0)
    throw new UserError('output-exists', `${output} is a run, whose files are not replaced`, {
      hint: `choose another ${optionName('output')}`,
    });
}

/**
 * The same check for a file: only a regular one is replaced, not a device, a link, or a file of the exported model.
 *
 * @throws UserError
 */
export function refuseOccupiedFile(output: string, { force, source }: Omit<Destination, 'output'>): void {
  const stats = lstatSync(output, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (stats.isDirectory() || !stats.isFile())
    throw new UserError(
      'wrong-file-kind',
      `${output} is ${stats.isDirectory() ? 'a folder' : stats.isSymbolicLink() ? 'a link' : 'not a regular file'}, which is not replaced`,
      { hint: `choose another ${optionName('output')}` },
    );
  if (realpathSync(dirname(output)) === realpathSync(source))
    throw new UserError(
      'output-exists',
      `${output} is in the folder of the model, whose files are not replaced`,
      {
        hint: `choose another ${optionName('output')}`,
      },
    );
  if (!force) throw outputExists(output);
}

const outputExists = (output: string): UserError =>
  new UserError('output-exists', `${output} already exists`, {
    hint: `choose another ${optionName('output')}, or replace it with ${optionName('force')}`,
  });

/** A missing parent folder may be a typing error, so it is not created. */
export function refuseMissingParent(output: string): void {
  const folder = dirname(output);
  if (existsSync(folder)) return;
  throw new UserError('write-failed', `${output} cannot be written: the folder ${folder} does not exist`, {
    hint: `create it first: mkdir -p ${shellQuoted(folder)}`,
  });
}

/** Removes what killed exports to the same output left behind: their files and folders are named after output and process. */
export function sweepTemporaries(output: string): void {
  const folder = dirname(output);
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(`${basename(output)}.`)) continue;
    const [, pid] = /^(\d+)[.]tmp$/.exec(name.slice(basename(output).length + 1)) ?? [];
    if (pid !== undefined && !isRunning(Number(pid))) rmSync(join(folder, name), { recursive: true });
  }
}

/** The user knows the folder by its final name. */
function withFinalPath(error: unknown, temporary: string, output: string): unknown {
  if (isSystemError(error) && error.path?.startsWith(temporary) === true)
    error.path = output + error.path.slice(temporary.length);
  return error;
}
