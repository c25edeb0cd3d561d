import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readTrainingText } from '../../src/evaluate/training-text.ts';
import { tokenizerOf, writeModel } from '../fuzz/seeds.ts';

test('the name of a training text says which files of its folder were left out', () => {
  const root = mkdtempSync(join(tmpdir(), 'training-text-'));
  writeModel(join(root, 'model'), 'char');
  const notes = join(root, 'notes');
  mkdirSync(notes);
  writeFileSync(join(notes, 'a.txt'), 'Call me Ishmael.');
  const name = (): string => readTrainingText(join(root, 'model'), tokenizerOf('char'), { path: notes }).name;
  expect(name()).toBe(notes);
  writeFileSync(join(notes, 'b.png'), Buffer.of(0x89, 0x50, 0, 0));
  writeFileSync(join(notes, '.hidden'), 'hidden');
  expect(name()).toBe(`${notes} (left out: 1 binary, 1 hidden)`);
});
