import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CARD, isOwnCard, readCard, writeCard } from '../../src/checkpoint/card-file.ts';

const newFolder = (): string => mkdtempSync(join(tmpdir(), 'card-'));
const textIn = (folder: string): string => readFileSync(join(folder, CARD), 'utf8');

test('a card is replaced as long as it is as it was written', () => {
  const folder = newFolder();
  writeCard(folder, '# one\n');
  expect(textIn(folder)).toMatch(/^# one\n\n<!-- .* -->\n$/);
  writeCard(folder, '# two\n');
  expect(readCard(folder)).toBe('# two\n');
  expect(isOwnCard(join(folder, CARD))).toBe(true);
});

test.each([
  ['edited', (text: string) => text.replace('one', 'mine'), '# mine\n'],
  ['edited after the mark', (text: string) => `${text}more\n`, '# one\nmore\n'],
  ["somebody's", () => '# mine\n', undefined],
  ['empty', () => '', undefined],
])('one that is %s stays', (_what, edit, read) => {
  const folder = newFolder();
  writeCard(folder, '# one\n');
  const edited = edit(textIn(folder));
  writeFileSync(join(folder, CARD), edited);
  expect(isOwnCard(join(folder, CARD))).toBe(false);
  writeCard(folder, '# two\n');
  expect(textIn(folder)).toBe(edited);
  expect(readCard(folder)).toBe(read);
});

test('without a file there is no card', () => {
  const folder = newFolder();
  expect(readCard(folder)).toBeUndefined();
  expect(isOwnCard(join(folder, CARD))).toBe(false);
});
