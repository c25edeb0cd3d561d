import { expect, test } from 'vitest';
import { nameOf } from '../../../src/cli/interactive/key-input.ts';

test.each([
  ['a letter', { name: 'm', sequence: 'm' }, 'm'],
  ['a capital letter', { name: 'm', sequence: 'M', shift: true }, 'M'],
  ['a digit', { name: '1', sequence: '1' }, '1'],
  ['Enter', { name: 'return', sequence: '\r' }, 'return'],
  ['an arrow key', { name: 'left', sequence: '\u001b[D' }, 'left'],
  ['Ctrl-C', { name: 'c', sequence: '\u0003', ctrl: true }, 'escape'],
  ['Ctrl-L', { name: 'l', sequence: '\f', ctrl: true }, 'l'],
  // Node has no name for it. Without one it looked like the end of the input, and ended the command.
  ['a letter beyond ASCII', { name: undefined, sequence: 'é' }, 'é'],
])('the name of %s', (_key, key, name) => {
  expect(nameOf(key)).toBe(name);
});
