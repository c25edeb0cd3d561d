/**
 * Ensures a single writer per run folder. The lock file names the writing process and is removed when it finishes; it is
 * void once that process has ended, however it did. Process ids are reused and folders are copied with their locks, so the
 * file also records the start time of the process and the folder it was made for.
 */
import { execFileSync } from 'node:child_process';
import { linkSync, readFileSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isSystemError, naming, UserError } from '../errors.ts';
import { FILE_OF_RUN, readWholeFile } from '../read-file.ts';

export const LOCK = 'run.lock';

export interface FolderLock {
  /** @throws UserError if another process has taken over the folder */
  check(): void;
  /** Releases the folder. Never throws, as the folder may be gone. */
  release(): void;
}

interface Owner {
  readonly pid: number;
  readonly host: string;
  /** Start time as reported by the system; null if unknown. */
  readonly started: string | null;
  /** Device and inode of the folder, which a copy does not share. */
  readonly folder: string;
}

/**
 * Makes this process the only writer of a folder.
 *
 * @throws UserError naming the process that holds the lock
 */
export function lockFolder(folder: string): FolderLock {
  const path = join(folder, LOCK);
  const mine = ownerHere(folder);
  const text = `${JSON.stringify(mine)}\n`;
  for (let attempt = 0; !place(path, text); attempt++) {
    const found = read(path);
    if (found === undefined) continue; // released just now
    const owner = parse(found);
    if (attempt >= 10 || (owner !== undefined && isAlive(owner, mine)))
      throw new UserError('folder-in-use', `${folder} is being written by ${describe(owner, mine)}`, {
        hint: `wait for it or stop it; if it is no longer running, remove ${path}`,
      });
    clear(path, found);
  }
  return {
    check() {
      const found = read(path);
      if (found === text) return;
      if (found === undefined) statSync(folder); // if the folder itself is gone, that is the error
      throw new UserError(
        'folder-in-use',
        `${folder} no longer belongs to this run: ${found === undefined ? `${LOCK} was removed` : `${describe(parse(found), mine)} is writing there now`}`,
        { hint: 'this run has stopped; its earlier checkpoints are intact' },
      );
    },
    release() {
      try {
        if (read(path) === text) unlinkSync(path);
      } catch {
        // void anyway once this process has ended
      }
    },
  };
}

/** Describes the process that is writing to a folder; undefined if there is none. */
export function holderOf(folder: string): string | undefined {
  const found = read(join(folder, LOCK));
  const owner = found === undefined ? undefined : parse(found);
  if (owner === undefined) return undefined;
  const mine = ownerHere(folder);
  return isAlive(owner, mine) ? describe(owner, mine) : undefined;
}

/** @throws UserError if another process is writing to the run */
export function refuseHeld(folder: string): void {
  const holder = holderOf(folder);
  if (holder !== undefined)
    throw new UserError('folder-in-use', `${folder} is being written by ${holder}`, {
      hint: 'wait until its training has ended, or stop it',
    });
}

const ownerHere = (folder: string): Owner => ({
  pid: process.pid,
  host: hostname(),
  started: startOf(process.pid) ?? null,
  folder: identityOf(folder),
});

/** Creates the lock atomically with its content; false if there is one. */
function place(path: string, text: string): boolean {
  const temporary = `${path}.${process.pid}.tmp`;
  rmSync(temporary, { recursive: true, force: true }); // never write through a file or link of this name
  naming(path, () => writeFileSync(temporary, text, { flag: 'wx' }));
  try {
    linkSync(temporary, path);
    return true;
  } catch (error) {
    if (isSystemError(error) && error.code === 'EEXIST') return false;
    return placeWithoutLinks(path, text); // the file system may lack hard links
  } finally {
    rmSync(temporary, { force: true });
  }
}

function placeWithoutLinks(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if (isSystemError(error) && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Removes a void lock, unless another process has replaced it meanwhile. */
function clear(path: string, stale: string): void {
  const aside = `${path}.${process.pid}.stale.tmp`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return;
    throw error;
  }
  const taken = read(aside);
  if (taken !== undefined && taken !== stale) place(path, taken);
  rmSync(aside, { force: true });
}

/** In bytes. */
const LARGEST = 10_000;

function read(path: string): string | undefined {
  try {
    return readWholeFile(path, LARGEST, FILE_OF_RUN).toString();
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function parse(text: string): Owner | undefined {
  try {
    const owner = JSON.parse(text) as Owner;
    return Number.isSafeInteger(owner.pid) && typeof owner.host === 'string' ? owner : undefined;
  } catch {
    return undefined;
  }
}

const describe = (owner: Owner | undefined, mine: Owner): string =>
  owner === undefined
    ? 'another process'
    : `process ${owner.pid}${owner.host === mine.host ? '' : ` on ${owner.host}`}`;

/** True if the lock is for this folder and its process is running. On another host that is unknown, so the lock holds. */
function isAlive(owner: Owner, mine: Owner): boolean {
  if (owner.folder !== mine.folder) return false;
  if (owner.host !== mine.host) return true;
  if (owner.pid === mine.pid) return owner.started === mine.started;
  if (!isRunning(owner.pid)) return false;
  const started = startOf(owner.pid);
  return started === undefined || owner.started === null || started === owner.started;
}

/** True for a running process; a zombie still has its id but does not count. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return isSystemError(error) && error.code === 'EPERM';
  }
  return process.platform !== 'linux' || statFields(pid)?.[0] !== 'Z';
}

/** Start time of a process, unique among processes with the same id; undefined if the system does not report it. */
function startOf(pid: number): string | undefined {
  try {
    if (process.platform === 'win32') return undefined;
    if (process.platform === 'linux') {
      const ticks = statFields(pid)?.[19];
      const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
      return ticks === undefined ? undefined : `${boot} ${ticks}`;
    }
    const inUtc = { LC_ALL: 'C', TZ: 'UTC' };
    return execFileSync('/bin/ps', ['-o', 'lstart=', '-p', String(pid)], { env: inUtc })
      .toString()
      .trim();
  } catch {
    return undefined;
  }
}

/** Fields of /proc/<pid>/stat from the third on; the second, the program's name, may contain any character. */
function statFields(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}

function identityOf(folder: string): string {
  const { dev, ino } = statSync(folder, { bigint: true });
  return `${dev}:${ino}`;
}
