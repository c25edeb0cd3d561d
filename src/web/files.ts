/** The files of a run, which live in this worker's memory. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

/** In which each run has a folder of its own: the earlier one stays until the next has begun. */
const RUNS = '.runs';

/** A folder for the next run, always of the same name, which its model card has. */
export function folderForRun(number: number): string {
  mkdirSync(`${RUNS}/${number}`, { recursive: true });
  return `${RUNS}/${number}/run`;
}

/** Removes earlier runs and their texts. */
export function keepOnly(run: number, text: string): void {
  for (const name of readdirSync(RUNS))
    if (name !== String(run)) rmSync(`${RUNS}/${name}`, { recursive: true });
  for (const name of readdirSync('/')) if (name !== RUNS && name !== text) rmSync(name, { recursive: true });
}

/** @returns the path */
export function storeText(name: string, text: Uint8Array): string {
  const path = name === RUNS ? 'text' : name.replaceAll('/', '_');
  writeFileSync(path, text);
  return path;
}

/** The files of a run by their path in an archive, without those that are being written. */
export function filesOf(folder: string, name: string): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = {};
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (/\.(tmp|lock)$/.test(entry.name)) continue;
    if (entry.isDirectory()) Object.assign(files, filesOf(path, `${name}/${entry.name}`));
    else files[`${name}/${entry.name}`] = readFileSync(path);
  }
  return files;
}
