import { expect, test } from 'vitest';
import { gainsOverChar } from '../../src/forecast/tokenizer-sweep.ts';

test('texts of a megabyte: bpe is worth 1 to 4 %, words cost 20 to 27 %', () => {
  const [bpe, word] = gainsOverChar(1.2e6);
  expect(bpe).toEqual({ kind: 'bpe', least: expect.closeTo(-0.0376, 4), most: expect.closeTo(-0.0122, 4) });
  expect(word).toEqual({ kind: 'word', least: expect.closeTo(0.1997, 3), most: expect.closeTo(0.2737, 3) });
});

test('texts of four megabytes: bpe is worth 8 to 16 %, words cost 4 % in prose and 69 % in source code', () => {
  const [bpe, word] = gainsOverChar(5e6);
  expect(bpe).toEqual({ kind: 'bpe', least: expect.closeTo(-0.1553, 3), most: expect.closeTo(-0.0814, 3) });
  expect(word).toEqual({ kind: 'word', least: expect.closeTo(0.0407, 3), most: expect.closeTo(0.6871, 3) });
});

test.each([1e3, 2e5, 1e8])('nothing is said of texts of %i bytes', (bytes) => {
  expect(gainsOverChar(bytes)).toEqual([]);
});
