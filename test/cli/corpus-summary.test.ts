import { expect, test } from 'vitest';
import { describeCorpus } from '../../src/cli/corpus-summary.ts';

const text = {
  bytes: 1_200_000,
  characters: 1_190_000,
  leftOut: {},
  documents: 'whole',
  documentCount: undefined,
  badLines: 0,
};

test.each([
  [
    'a file',
    { paths: ['book.txt'], files: ['book.txt'], ...text },
    'book.txt, 1.20 MB, 1,190,000 characters',
  ],
  ['stdin', { paths: ['-'], files: ['-'], ...text }, 'stdin, 1.20 MB, 1,190,000 characters'],
  [
    'a folder of one file',
    { paths: ['a/'], files: ['a/b'], ...text },
    'a/, 1 file, 1.20 MB, 1,190,000 characters',
  ],
  [
    'a folder of which something is left out',
    {
      paths: ['a/'],
      files: Array<string>(1200).fill('a/b'),
      ...text,
      characters: undefined,
      leftOut: { ignored: 1, binary: 3 },
    },
    'a/, 1,200 files, 1.20 MB; left out: 3 binary, 1 ignored by .gitignore',
  ],
  [
    'several files',
    { paths: ['a', 'b'], files: ['a', 'b'], ...text },
    '2 files, 1.20 MB, 1,190,000 characters',
  ],
  [
    'documents',
    { paths: ['names'], files: ['names'], ...text, documents: 'lines', documentCount: 4000, badLines: 1 },
    'names, 1.20 MB, 1,190,000 characters, 4,000 documents (lines), 1 bad line left out',
  ],
])('the line about %s', (_name, corpus, line) => {
  expect(describeCorpus(corpus)).toBe(line);
});
