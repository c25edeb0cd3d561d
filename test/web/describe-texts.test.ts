/** What the page that trains in a browser says of the texts that were chosen. */
import { expect, test } from 'vitest';
import { describeTexts } from '../../src/web/describe-texts.ts';

const file = (name: string, text: string) => ({ name, bytes: new TextEncoder().encode(text) });
const [a, b, c] = ['a.txt', 'b.txt', 'c.txt'].map((name) => file(name, 'ten bytes.'));
const empty = file('empty.txt', '');

test.each([
  [[a], 'a.txt, 10 bytes.'],
  [[a, b], 'a.txt and b.txt, 20 bytes together.'],
  [[a, b, c], 'a.txt, b.txt and c.txt, 30 bytes together.'],
  [[a, empty], 'a.txt, 10 bytes. empty.txt is empty.'],
  [[file('blank.txt', ' \n\t')], 'blank.txt contains only whitespace.'],
])('texts are described: %#', (texts, shown) => {
  expect(describeTexts(texts)[1]).toBe(shown);
});

test('only texts with content are trained on', () => {
  expect(describeTexts([empty, a, file('blank.txt', '\r\n')])[0]).toEqual([a]);
});
