import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '../errors.ts';

export interface DiskUse {
  /** Size of all files, in bytes. Hard links to the same file count once. */
  readonly bytes: number;
  /** Bytes that deleting them frees: files with hard links elsewhere stay. */
  readonly freed: number;
}

/** Disk space of files and folders. Symbolic links are not followed; files that disappear meanwhile do not count. */
export function diskUse(paths: readonly string[]): DiskUse {
  const found = new Map<string, { readonly size: number; readonly names: bigint; seen: bigint }>();
  const visit = (path: string): void => {
    const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (stats === undefined) return;
    if (stats.isDirectory()) return entriesOf(path).forEach((name) => visit(join(path, name)));
    const key = `${stats.dev}:${stats.ino}`;
    const file = found.get(key);
    if (file === undefined) found.set(key, { size: Number(stats.size), names: stats.nlink, seen: 1n });
    else file.seen++;
  };
  paths.forEach(visit);
  const files = [...found.values()];
  const sum = (counted: typeof files): number => counted.reduce((total, { size }) => total + size, 0);
  return { bytes: sum(files), freed: sum(files.filter(({ seen, names }) => seen >= names)) };
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return [];
    throw error;
  }
}
