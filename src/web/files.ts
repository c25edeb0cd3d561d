/** The files of a run, which live in this worker's memory. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

/** Removes the text and the run of an earlier training. */
export function makeRoom(): void {
  for (const name of readdirSync('/')) rmSync(`/${name}`, { recursive: true });
  mkdirSync('/run');
}

/** @returns the path */
export function storeText(name: string, text: Uint8Array): string {
  const path = name.replaceAll('/', '_');
  writeFileSync(path, text);
  return path;
}

/** All files of a folder by their path in an archive, which has them in a folder of that name. */
export function filesOf(folder: string, name: string): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = {};
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) Object.assign(files, filesOf(path, `${name}/${entry.name}`));
    else files[`${name}/${entry.name}`] = readFileSync(path);
  }
  return files;
}
