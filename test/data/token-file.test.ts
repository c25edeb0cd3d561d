import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openTokenFile, writeTokenFile } from '../../src/data/token-file.ts';
import { failure } from '../fixtures/failure.ts';

const path = join(mkdtempSync(join(tmpdir(), 'tokens-')), 'tokens.bin');
const tokenizerHash = Buffer.alloc(32, 7);
const ids = [Uint32Array.of(1, 2, 3), Uint32Array.of(), Uint32Array.of(60_000)];

test.each([
  [65_536, 2],
  [65_537, 4],
])('ids of a vocabulary of %i take %i bytes each', (vocabSize, width) => {
  expect(writeTokenFile(path, ids, { vocabSize, tokenizerHash })).toBe(4);
  expect(readFileSync(path).length).toBe(64 + 4 * width);
  const file = openTokenFile(path);
  expect([file.length, file.vocabSize]).toEqual([4, vocabSize]);
  expect(file.tokenizerHash).toEqual(tokenizerHash);
  expect(Array.from(file.slice(0, 4))).toEqual([1, 2, 3, 60_000]);
  expect(Array.from(file.slice(2, 4))).toEqual([3, 60_000]);
  expect(Array.from(file.slice(4, 4))).toEqual([]);
  const bytes: number[] = [];
  file.verify((chunk) => bytes.push(...chunk));
  expect(bytes).toEqual([...readFileSync(path)]);
  file.close();
});

test('a file of documents has the token that ends them', () => {
  writeTokenFile(path, ids, { vocabSize: 65_536, tokenizerHash, endId: 3 });
  const file = openTokenFile(path);
  expect([file.length, file.endId]).toEqual([4, 3]);
  expect(file.tokenizerHash).toEqual(tokenizerHash);
  expect(Array.from(file.slice(1, 4))).toEqual([2, 3, 60_000]);
  expect(() => file.verify()).not.toThrow();
  file.close();
  writeTokenFile(path, ids, { vocabSize: 65_536, tokenizerHash });
  expect(openTokenFile(path).endId).toBeUndefined();
});

describe('a damaged token file is refused, and the file is named', () => {
  const damage = (change: (bytes: Buffer) => Buffer | void, endId?: number): void => {
    writeTokenFile(path, ids, { vocabSize: 65_536, tokenizerHash, endId });
    const bytes = readFileSync(path);
    writeFileSync(path, change(bytes) ?? bytes);
  };
  test.each<[string, (bytes: Buffer) => Buffer | void, unknown]>([
    ['empty', () => Buffer.alloc(0), failure('wrong-file-kind')],
    ['cut in the header', (b) => b.subarray(0, 60), failure('wrong-file-kind')],
    ['something else', (b) => void b.write('GGUF'), failure('wrong-file-kind')],
    ['a newer version', (b) => void b.writeUInt32LE(4, 8), failure('newer-version', '4', '3')],
    ['undivided, but said to be documents', (b) => void b.writeUInt32LE(3, 8), failure('damaged-file')],
    ['an older version', (b) => void b.writeUInt32LE(1, 8), failure('damaged-file', '1')],
    ['another width', (b) => void b.writeUInt32LE(3, 12), failure('damaged-file', '3')],
    ['cut', (b) => b.subarray(0, b.length - 1), failure('damaged-file', '4', '2', '71')],
    [
      'too many ids claimed',
      (b) => void b.writeBigUInt64LE(2n ** 60n, 24),
      failure('damaged-file', '2', '72'),
    ],
  ])('%s', (_name, change, expected) => {
    damage(change);
    expect(() => openTokenFile(path)).toThrow(expected);
    expect(() => openTokenFile(path)).toThrow(path);
  });
  test.each<[string, (bytes: Buffer) => void]>([
    ['an id', (b) => void (b[65] ^= 1)],
    ['the vocabulary size', (b) => void b.writeUInt32LE(65_535, 16)],
    ['the hash of the tokenizer', (b) => void (b[40] ^= 128)],
  ])('verification detects a change of %s', (_name, change) => {
    damage(change);
    const file = openTokenFile(path);
    expect(() => file.verify()).toThrow(failure('damaged-file'));
    file.close();
  });
  test('an end token beyond the vocabulary is refused', () => {
    damage(() => {}, 65_536);
    expect(() => openTokenFile(path)).toThrow(failure('damaged-file', '65536'));
  });
  test('a file of documents that is cut in its header is refused', () => {
    damage((b) => b.subarray(0, 66), 3);
    expect(() => openTokenFile(path)).toThrow(failure('damaged-file', '66'));
  });
  test('an id beyond the vocabulary is refused when it is read', () => {
    damage((b) => void b.writeUInt32LE(3, 16));
    const file = openTokenFile(path);
    expect(() => file.slice(1, 4)).toThrow(failure('damaged-file', '3', '2', '3'));
    file.close();
  });
});
