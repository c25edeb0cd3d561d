import { expect, test } from 'vitest';
import { wrapMessage } from '../../src/cli/wrap-message.ts';

test.each([
  ['a text that fits', 'error: all is well', 20, 'error: all is well'],
  [
    'a long text, at words',
    'error: the white whale and the sea',
    16,
    'error: the white\n  whale and the\n  sea',
  ],
  [
    'a word longer than a line, on its own',
    'error: ./a-very-long-path gone',
    12,
    'error:\n  ./a-very-long-path\n  gone',
  ],
  [
    'a command, which stays whole',
    'hint: create it first: mkdir -p "no such folder"',
    24,
    'hint: create it first:\n  mkdir -p "no such folder"',
  ],
  [
    'a command in front of the pointer to the help',
    'hint: results go to standard output: gpt eval a.txt > b; see gpt eval --help',
    42,
    'hint: results go to standard output:\n  gpt eval a.txt > b; see gpt eval --help',
  ],
  [
    'a command in backticks',
    'hint: make it with `gpt tokenize a.txt -o b` again',
    30,
    'hint: make it with\n  `gpt tokenize a.txt -o b`\n  again',
  ],
  ['wide characters by their columns', 'error: 白鲸记 白鲸记 gone', 14, 'error: 白鲸记\n  白鲸记 gone'],
  ['marks that take no column', `error: ${'e\u0301'.repeat(7)} x`, 16, `error: ${'e\u0301'.repeat(7)} x`],
  [
    'colors that take no column',
    '\u001b[33mwarning:\u001b[39m all well',
    17,
    '\u001b[33mwarning:\u001b[39m all well',
  ],
])('wraps %s', (_name, text, width, wrapped) => {
  expect(wrapMessage(text, width)).toBe(wrapped);
});
