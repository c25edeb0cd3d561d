import { expect, test } from 'vitest';
import { code, codeBlock, prose, table, yaml, yamlString } from '../../src/card/markup.ts';

test.each([
  ['plain', '"plain"'],
  ['no', '"no"'],
  ['a: b # c', '"a: b # c"'],
  ['"quoted" \\ \n---\n', '"\\"quoted\\" \\\\ \\n---\\n"'],
  ['\u007f\u0085\u2028\ufeff\ufffe', '"\\u007f\\u0085\\u2028\\ufeff\\ufffe"'],
  ['🐋 ü', '"🐋 ü"'],
  ['\ud800', '"\ufffd"'],
])('%j is the YAML scalar %s', (text, expected) => expect(yamlString(text)).toBe(expected));

test('mappings and lists are blocks', () => {
  const value = { a: 'x', list: ['y', { b: 1.5, c: { d: 'z' } }], e: [{ f: ['g'] }] };
  expect(yaml(value)).toBe(
    'a: "x"\nlist:\n  - "y"\n  - b: 1.5\n    c:\n      d: "z"\ne:\n  - f:\n      - "g"\n',
  );
});

test.each([
  ['a|b', '`a\\|b`'],
  ['`', '`` ` ``'],
  ['a``b', '```a``b```'],
  ['x\ny\u202e', '`x y `'],
])('%j is the code span %s, also in a table', (text, expected) => {
  expect(code(text)).toBe(expected);
  expect(table([['name', code(text)]]).split('\n')).toHaveLength(4);
});

test('prose has no markup, and a block no fence', () => {
  expect(prose('<b>*x*</b> [a](b) # | `c`')).toBe('\\<b\\>\\*x\\*\\</b\\> \\[a\\](b) \\# \\| \\`c\\`');
  expect(codeBlock('sh', 'echo ```')).toBe('````sh\necho ```\n````\n');
});
