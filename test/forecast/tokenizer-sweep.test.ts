import { expect, test } from 'vitest';
import { gainsOverChar } from '../../src/forecast/tokenizer-sweep.ts';

test('texts of a megabyte: bpe is worth 1 to 4 %, words 4 to 5 %', () => {
  const [bpe, word] = gainsOverChar(1.2e6);
  expect(bpe).toEqual({ kind: 'bpe', least: expect.closeTo(-0.0419, 4), most: expect.closeTo(-0.0146, 4) });
  expect(word).toEqual({ kind: 'word', least: expect.closeTo(-0.0504, 3), most: expect.closeTo(-0.04, 3) });
});

test('texts of four megabytes: bpe is worth 9 to 12 %, words 5 to 11 %', () => {
  const [bpe, word] = gainsOverChar(5e6);
  expect(bpe).toEqual({ kind: 'bpe', least: expect.closeTo(-0.1197, 3), most: expect.closeTo(-0.0944, 3) });
  expect(word).toEqual({ kind: 'word', least: expect.closeTo(-0.1051, 3), most: expect.closeTo(-0.0471, 3) });
});

test.each([1e3, 2e5, 1e8])('nothing is said of texts of %i bytes', (bytes) => {
  expect(gainsOverChar(bytes)).toEqual([]);
});
