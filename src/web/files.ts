/** The files of a run, in the memory of its worker: its folder, and next to it the texts that it was trained on. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Text } from './messages.ts';

/**
 * Stores texts under different names.
 *
 * @returns their paths. A run records them, and `--resume` finds them next to its folder
 */
export function storeTexts(texts: readonly Text[]): string[] {
  const paths: string[] = [];
  for (const { name, bytes } of texts) {
    const path = unused(fileName(name), paths);
    writeFileSync(path, bytes);
    paths.push(path);
  }
  return paths;
}

/** A name that can only be a file's: `-` would be stdin, and `..` a folder. */
const fileName = (name: string): string => (/^[-.]*$/.test(name) ? 'text' : name.replaceAll('/', '_'));

/** `book.txt`, or else `book-2.txt`, … */
function unused(name: string, used: readonly string[]): string {
  const [, stem, ending] = /^(.+?)(\.[^.]*)?$/.exec(name)!;
  let [tried, count] = [name, 1];
  while (used.includes(tried)) tried = `${stem}-${++count}${ending ?? ''}`;
  return tried;
}

/** The folder of a run: named after its first text, in letters that need no quoting in a shell. */
export function folderFor(texts: readonly string[]): string {
  const stem = texts[0]
    .replace(/(?<=.)\.[^.]*$/, '')
    .replace(/[^\p{L}\p{N}._-]+/gu, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
    .slice(0, 60);
  return unused(stem === '' ? 'model' : stem, texts);
}

/** The files of a run and its texts, by path in an archive, without temporary files. */
export const archiveOf = (folder: string, texts: readonly string[]): Record<string, Uint8Array> => ({
  ...filesIn(folder),
  ...Object.fromEntries(texts.map((path) => [path, readFileSync(path)])),
});

function filesIn(folder: string): Record<string, Uint8Array> {
  const files: Record<string, Uint8Array> = {};
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (/\.(tmp|lock)$/.test(entry.name)) continue;
    if (entry.isDirectory()) Object.assign(files, filesIn(path));
    else files[path] = readFileSync(path);
  }
  return files;
}
