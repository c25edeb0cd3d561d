import { assert, json, property } from 'fast-check';
import { expect, test } from 'vitest';
import { parseJsonObject, shownJson } from '../src/json.ts';

const parse = (text: string): unknown =>
  parseJsonObject(text, (what) => {
    throw new Error(what);
  });

test('an object is parsed as by JSON.parse', () => {
  assert(
    property(json(), (value) => {
      const text = `{"value":${value},"\\\\":"\\"","a\\"b":"\\\\"}`;
      expect(parse(text)).toEqual(JSON.parse(text));
    }),
    { numRuns: 500, seed: 1 },
  );
});

test.each([
  ['{', 'is not JSON'],
  ['', 'is empty'],
  ['{"a":"', 'is not JSON'],
  ['[]', 'is not a JSON object'],
  ['null', 'is not a JSON object'],
  ['{"a":1,"a":2}', 'has the key "a" twice in one object'],
  ['{"a":1,"\\u0061":2}', 'has the key "a" twice in one object'],
  ['{"x":[{"\\"":1, "\\"" :2}]}', 'has the key "\\"" twice in one object'],
  ['{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}],"c":"a"}', undefined],
  [`{"a":${'['.repeat(99)}${']'.repeat(99)}}`, undefined],
  [`{"a":${'['.repeat(100)}${']'.repeat(100)}}`, 'is JSON nested more than 100 deep'],
  [`{"a":"${'['.repeat(1000)}"}`, undefined],
  ['{"a":'.repeat(1e6), 'is JSON nested more than 100 deep'],
])('%.60s', (text, message) => {
  if (message === undefined) expect(parse(text)).toEqual(JSON.parse(text));
  else expect(() => parse(text)).toThrow(new Error(message));
});

test('values are shown on one line, truncated if long', () => {
  expect([undefined, null, 'a\nb', [1, 2], {}].map(shownJson)).toEqual([
    'missing',
    'null',
    '"a\\nb"',
    '[1,2]',
    '{}',
  ]);
  expect(shownJson(JSON.parse('1e999'))).toBe('Infinity');
  expect(shownJson('🐋'.repeat(100))).toBe(JSON.stringify(`${'🐋'.repeat(30)}…`));
  expect(shownJson(`${'x'.repeat(58)}🐋`).isWellFormed()).toBe(true);
});
