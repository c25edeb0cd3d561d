import { mkdirSync, mkdtempSync, rmSync, symlinkSync, linkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { openCorpus } from '../../src/data/corpus.ts';
import type { LeftOut } from '../../src/data/find-files.ts';
import { writeModel } from '../fuzz/seeds.ts';

const top = mkdtempSync(join(tmpdir(), 'find-files-'));
const folder = join(top, 'books');
const at = (name: string): string => join(folder, name);
function write(files: Record<string, string | Uint8Array>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(at(name)), { recursive: true });
    writeFileSync(at(name), content);
  }
}
/** What is read of a folder, without the folder's path. */
function found(...paths: string[]): { files: string[]; leftOut: LeftOut } {
  const { files, leftOut } = openCorpus(paths, { encodingErrors: 'strict' });
  return { files: files.map((file) => file.replace(`${folder}/`, '')), leftOut };
}
const png = Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1');

beforeEach(() => {
  rmSync(top, { recursive: true });
  mkdirSync(folder, { recursive: true });
});

describe('the files of a folder', () => {
  test('are reported while they are looked for, and their bytes are known before they are read', () => {
    write({ 'a.txt': 'abcd\n', 'b.png': png, 'c.txt': 'ab\n' });
    const reports: unknown[] = [];
    const corpus = openCorpus([folder], { encodingErrors: 'strict' }, (...report) => reports.push(report));
    expect(reports).toEqual([1, 2, 3].map(() => [`looking for text files in ${folder}`]));
    for (const _ of corpus.text());
    expect(reports.slice(3)).toEqual([
      ['reading the text', 5 / 8],
      ['reading the text', 1],
    ]);
  });

  test('are read in natural order, those of folders in between', () => {
    write({ 'ch10.txt': '', 'ch2.txt': '2\n', 'Ch3.txt': '', 'ch02.txt': '', 'ch2b/x.md': '', 'a.txt': '' });
    expect(found(folder).files).toEqual(['a.txt', 'ch02.txt', 'ch2.txt', 'ch2b/x.md', 'Ch3.txt', 'ch10.txt']);
  });
  test('are text by their bytes, whatever their names say', () => {
    const names = ['a.py', 'b.pgn', 'c.log', 'd.csv', 'e.tex', 'f.json', 'LICENSE'];
    write(Object.fromEntries(names.map((name) => [name, 'caf\u00e9\n'])));
    write({
      'image.txt': png,
      'latin1.txt': Buffer.from('caf\xe9 noir', 'latin1'),
      'compressed.gz': Buffer.from('\x1f\x8b\x08\x01\x02\xff\xfe', 'latin1'),
      'late.txt': Buffer.concat([Buffer.alloc(3 << 20, 'text '), Buffer.from([0xe9, 0x20])]),
      'utf16.txt': Buffer.from('\ufefftext', 'utf16le'),
    });
    expect(found(folder)).toEqual({
      files: [...names.slice(0, 6), 'LICENSE', 'utf16.txt'],
      leftOut: { binary: 2, encoding: 2 },
    });
  });
  test('with --encoding-errors replace, only binary data is left out', () => {
    write({ 'image.png': png, 'latin1.txt': Buffer.from('caf\xe9 noir', 'latin1') });
    const corpus = openCorpus([folder], { encodingErrors: 'replace' });
    expect([...corpus.text()].join('')).toBe('caf\ufffd noir');
    expect(corpus.leftOut).toEqual({ binary: 1 });
  });
  test('leave out hidden files, node_modules, and AppleDouble files', () => {
    write({
      '.git/config': '',
      '.venv/x.py': '',
      'node_modules/x/README.md': '',
      '._ch1.txt': '\0',
      'ch1.txt': '',
    });
    expect(found(folder)).toEqual({ files: ['ch1.txt'], leftOut: { hidden: 3, node_modules: 1 } });
  });
  test('leave out models and runs, which are known by their files', () => {
    write({ 'a.txt': 'a', 'checkpoints/notes.txt': 'mine' });
    writeModel(at('checkpoints/a-1'), 'char');
    writeModel(at('model'), 'word');
    write({ 'checkpoints/a-1/metrics.jsonl': '{}', 'data/config.json': '{}', 'tokens/tokenizer.json': '{}' });
    write({ 'tokens/tokens.bin': png, 'tokens/book.txt': 'b' });
    expect(found(folder)).toEqual({
      files: ['a.txt', 'checkpoints/notes.txt', 'data/config.json', 'tokens/book.txt'],
      leftOut: { models: 3, binary: 1 },
    });
    write({ 'model/mine.txt': 'text' });
    expect(found(at('model')).files).toEqual(['model/mine.txt']);
  });
});

describe('.gitignore', () => {
  test('applies to its folder and those below, where the nearest decides', () => {
    write({
      '.gitignore': '*.log\n/build\nlogs/*\n!keep.log\nCase.txt\n',
      'a.log': '',
      'keep.log': '',
      'case.txt': '',
      'build/x.txt': '',
      'sub/build/x.txt': '',
      'sub/.gitignore': '!b.log\nx.md\n',
      'sub/a.log': '',
      'sub/b.log': '',
      'sub/x.md': '',
      'x.md': '',
    });
    expect(found(folder)).toEqual({
      files: ['case.txt', 'keep.log', 'sub/b.log', 'sub/build/x.txt', 'x.md'],
      leftOut: { hidden: 2, ignored: 4 },
    });
  });
  test('of the folders above applies up to the root of the repository', () => {
    write({ 'sub/a.txt': '', 'sub/a.log': '' });
    writeFileSync(join(top, '.gitignore'), '*.log\n');
    expect(found(at('sub')).files).toEqual(['sub/a.log', 'sub/a.txt']);
    mkdirSync(join(top, '.git'));
    expect(found(at('sub')).files).toEqual(['sub/a.txt']);
    mkdirSync(at('.git'));
    expect(found(at('sub')).files).toEqual(['sub/a.log', 'sub/a.txt']);
  });
  test('does not apply to a folder or file that is named explicitly', () => {
    write({ 'sub/a.txt': '', 'sub/b.txt': '' });
    mkdirSync(join(top, '.git'));
    writeFileSync(join(top, '.gitignore'), 'books/\n');
    expect(found(at('sub')).files).toEqual(['sub/a.txt', 'sub/b.txt']);
    write({ 'sub/.gitignore': 'b.txt' });
    expect(found(at('sub'), at('sub/b.txt')).files).toEqual(['sub/a.txt', 'sub/b.txt']);
  });
});

describe.skipIf(process.platform === 'win32')('links', () => {
  test('are followed, and each file is read once', () => {
    write({ 'real.txt': 'a' });
    mkdirSync(join(top, 'elsewhere/deep'), { recursive: true });
    writeFileSync(join(top, 'elsewhere/deep/b.txt'), 'b');
    symlinkSync('../elsewhere/deep/b.txt', at('link.txt'));
    symlinkSync('../elsewhere', at('linked'));
    symlinkSync('.', at('self'));
    symlinkSync('..', at('up'));
    symlinkSync('self/self/real.txt', at('zigzag.txt'));
    linkSync(at('real.txt'), at('second.txt'));
    expect(found(folder)).toEqual({
      files: ['link.txt', 'real.txt'],
      leftOut: { duplicates: 6 },
    });
    expect([...openCorpus([folder], { encodingErrors: 'strict' }).text()].join('')).toBe('b\na');
  });
  test('that are broken are left out', () => {
    write({ 'a.txt': 'a' });
    symlinkSync('nowhere', at('broken'));
    symlinkSync('loop', at('loop'));
    expect(found(folder)).toEqual({ files: ['a.txt'], leftOut: { special: 2 } });
  });
});

test('a file that is named beside its folder is read once, where it is named', () => {
  write({ 'a.txt': 'a', 'b.txt': 'b' });
  expect(found(at('b.txt'), folder).files).toEqual(['b.txt', 'a.txt']);
  expect(found(folder, folder)).toEqual({ files: ['a.txt', 'b.txt'], leftOut: { duplicates: 2 } });
});
