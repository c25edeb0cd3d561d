/**
 * Deletes runs. The folder is renamed before it is removed, so that a process killed in between leaves a folder that no
 * command mistakes for a run; the next deletion removes it.
 */
import { existsSync, lstatSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { attempt, naming, UserError } from '../errors.ts';
import { shellQuoted } from '../shell-quote.ts';
import { stateFileOf } from './checkpoint-folders.ts';
import { diskUse } from './disk-use.ts';
import { isRunning, lockFolder, refuseHeld } from './lock.ts';
import { foreignEntries, isRun, isVacant } from './own-files.ts';
import { hintForMissingRun, RUNS } from './runs.ts';

/** A run that can be deleted. */
export interface Deletion {
  readonly folder: string;
  /** Bytes that this frees. */
  readonly freed: number;
}

/** @throws UserError unless the folder is a run that is not being trained, with nothing else in it */
export function planDeletion(folder: string): Deletion {
  checkRunFolder(folder);
  refuseHeld(folder);
  refuseForeign(folder);
  return { folder, freed: diskUse([folder]).freed };
}

/** @throws UserError if something in the folder does not belong to the run */
function refuseForeign(folder: string): void {
  const foreign = foreignEntries(folder);
  if (foreign.length > 0)
    throw new UserError(
      'output-exists',
      `${folder} has ${foreign.length === 1 ? 'an entry' : `${foreign.length} entries`} that gpt did not write there: ${listed(foreign)}`,
      {
        hint: `move them out first, or delete the folder with all that is in it: rm -r ${shellQuoted(folder)}`,
      },
    );
}

const listed = (names: readonly string[]): string =>
  `${names.slice(0, 3).map(shellQuoted).join(', ')}${names.length > 3 ? ', …' : ''}`;

/**
 * @throws UserError unless the path is a run's folder. A link is refused, since what it points to may be anywhere.
 */
export function checkRunFolder(path: string): void {
  const folder = path.replace(/(?<=.)[/\\]+$/, '');
  const refused = (message: string, hint: string): UserError =>
    new UserError('wrong-file-kind', `${folder} ${message}`, { hint });
  const stats = lstatSync(resolve(folder), { throwIfNoEntry: false }); // also refuses a link given as `link/.`
  if (stats === undefined)
    throw new UserError('file-not-found', `there is no run ${folder}`, { hint: hintForMissingRun(folder) });
  if (stats.isSymbolicLink())
    throw new UserError('symbolic-link', `${folder} is a symbolic link, which is not followed here`, {
      hint: 'pass the folder that it points to',
    });
  if (!stats.isDirectory()) throw refused('is a file, not a run', 'pass the folder of a run');
  if (stateFileOf(folder) !== undefined)
    throw refused('is a checkpoint, not a run', 'pass the run, which is the folder that contains it');
  const isNew = isVacant(folder) && resolve(dirname(folder)) === resolve(RUNS); // killed before it wrote anything
  if (!isRun(folder) && !isNew)
    throw refused('is not the folder of a run', 'pass a run, such as those under checkpoints/');
}

/**
 * @throws UserError or a system error if the run cannot be deleted. It is then unchanged, or it is gone and the error says
 *   where the files are that could not be removed
 */
export function deleteRun(folder: string): void {
  const lock = lockFolder(folder);
  let aside: string;
  try {
    checkRunFolder(folder); // it may have changed since the user was asked
    refuseForeign(folder);
    aside = asideOf(folder);
    naming(folder, () => renameSync(resolve(folder), aside));
  } catch (error) {
    lock.release();
    throw error;
  }
  try {
    rmSync(aside, { recursive: true, force: true });
  } catch (error) {
    throw new UserError('write-failed', `${folder} is deleted, but not all of its files could be removed`, {
      hint: `once that is possible, remove the rest: rm -r ${shellQuoted(aside)}`,
      cause: error,
    });
  }
}

/** Name of a run being deleted: hidden, its own name, and the process id. */
const ASIDE = /^[.].*[.](\d+)[.]gpt-deleted$/;

function asideOf(folder: string): string {
  const path = resolve(folder);
  const name = (n: number): string =>
    join(dirname(path), `.${basename(path)}${n === 0 ? '' : `-${n}`}.${process.pid}.gpt-deleted`);
  let n = 0;
  while (existsSync(name(n))) n++;
  return name(n);
}

/**
 * Removes leftovers of deletions that were killed, under checkpoints/ and beside the given runs. Files that cannot be
 * removed are skipped.
 */
export function sweepDeleted(runs: readonly { readonly folder: string }[]): void {
  for (const parent of new Set([RUNS, ...runs.map(({ folder }) => dirname(folder))])) {
    if (!existsSync(parent)) continue;
    for (const entry of readdirSync(parent, { withFileTypes: true })) {
      const pid = Number(ASIDE.exec(entry.name)?.[1]);
      const isLeft = entry.isDirectory() && (pid === process.pid || (pid > 0 && !isRunning(pid)));
      if (isLeft) attempt(() => rmSync(join(parent, entry.name), { recursive: true, force: true }));
    }
  }
}
