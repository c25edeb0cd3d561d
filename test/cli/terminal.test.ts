import { expect, it } from 'vitest';
import { printable } from '../../src/cli/terminal.ts';

it('control and bidirectional characters are shown as escapes', () => {
  expect(printable('\u001b[2J\u0007\r')).toBe('\\x1b[2J\\x07\\x0d');
  expect(printable('\u009b31m')).toBe('\\x9b31m');
  expect(printable('a\u202egnp.exe')).toBe('a\\u202egnp.exe');
});

it('ordinary text is shown unchanged', () => {
  const text = 'Ünïcödé, 日本語, 😀\n\tnext line';
  expect(printable(text)).toBe(text);
});
