/** The reading list of the README: its files, and how long they are. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readPage, root } from './pages.ts';

const section = readPage('README.md').split('## Read the code')[1].split('\n## ')[0];

/** Rows of the table: the files, and the number of lines as printed. */
const rows = Array.from(section.matchAll(/^\| (\[.*?) +\| ([\d,]+) +\|/gm), ([, read, lines]) => ({
  files: Array.from(read.matchAll(/\]\((.*?)\)/g), ([, path]) => path).flatMap(filesAt),
  lines: Number(lines.replace(',', '')),
}));

function filesAt(path: string): string[] {
  if (!statSync(join(root, path)).isDirectory()) return [path];
  return readdirSync(join(root, path)).map((file) => join(path, file));
}

const source = (file: string): string => readFileSync(join(root, file), 'utf8');
const linesOf = (files: readonly string[]): number =>
  files.reduce((sum, file) => sum + source(file).split('\n').length - 1, 0);

describe('the reading list of the README', () => {
  test('covers the path from text to text', () => expect(rows).toHaveLength(8));

  test.each(rows)('$lines lines: $files', ({ files, lines }) => {
    expect(Math.abs(linesOf(files) - lines)).toBeLessThan(0.1 * lines);
  });

  test('gives the sum of them', () => {
    const total = Number(/about ([\d,]+) lines/.exec(section)![1].replace(',', ''));
    expect(Math.abs(linesOf(rows.flatMap(({ files }) => files)) - total)).toBeLessThan(0.05 * total);
  });

  test.each(rows.flatMap(({ files }) => files))('%s begins with a comment that says what it is', (file) => {
    const afterImports = source(file).replace(/^(import [^;]*;\n)*\n*/, '');
    expect(afterImports.startsWith('/**')).toBe(true);
  });
});
