import { expect, it } from 'vitest';
import { printable } from '../../src/cli/terminal.ts';

it('shows what could change the terminal or reorder the line as an escape', () => {
  expect(printable('\u001b[2J\u0007\r')).toBe('\\x1b[2J\\x07\\x0d');
  expect(printable('\u009b31m')).toBe('\\x9b31m');
  expect(printable('a\u202egnp.exe')).toBe('a\\u202egnp.exe');
});

it('leaves text as it is', () => {
  const text = 'Ünïcödé, 日本語, 😀\n\tnext line';
  expect(printable(text)).toBe(text);
});
