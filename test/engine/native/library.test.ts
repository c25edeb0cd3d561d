import { hash } from 'node:crypto';
import { expect, test } from 'vitest';
import { blockOffset } from '../../../src/engine/native/argument-block.ts';
import { elfLibrary } from '../../../src/engine/native/elf.ts';
import { libraryFiles } from '../../../src/engine/native/library-files.ts';
import { assembleLibrary } from '../../../src/engine/native/library.ts';

const library = assembleLibrary('linux');

test.each(['linux', 'win32'] as const)(
  'the library of %s has the hash that the program expects',
  (platform) => {
    expect(hash('sha256', assembleLibrary(platform))).toBe(libraryFiles[platform].sha256);
  },
);

test('nothing in the library is writable and executable, nor is the stack of a process that loads it', () => {
  const view = new DataView(library.buffer);
  const count = view.getUint16(56, true);
  const flags = Array.from({ length: count }, (_, i) => view.getUint32(64 + 56 * i + 4, true) & 3);
  expect(flags).toEqual([1, 2, 2, 2]); // code is executable; data, dynamic section and stack are writable
});

test('each function is found by its name', () => {
  const code = Uint8Array.of(0xc3, 0x90, 0xc3);
  const file = elfLibrary({ code, functions: { first: { start: 0 }, second: { start: 2 } } });
  const view = new DataView(file.buffer);
  const field = (at: number): number => Number(view.getBigUint64(at, true));
  const dynamic = field(64 + 56 * 2 + 8);
  const entries = new Map(
    Array.from({ length: 6 }, (_, i) => [field(dynamic + 16 * i), field(dynamic + 16 * i + 8)]),
  );
  const [strings, symbols] = [entries.get(5)!, entries.get(6)!];
  const nameAt = (at: number): string => Buffer.from(file.subarray(at, file.indexOf(0, at))).toString();
  const found = [1, 2].map((i) => {
    const symbol = symbols + 24 * i;
    return [nameAt(strings + view.getUint32(symbol, true)), file[field(symbol + 8)]];
  });
  expect(found).toEqual([
    ['first', 0xc3],
    ['second', 0xc3],
  ]);
  expect(field(symbols + 24 * 2 + 8) - field(symbols + 24 + 8)).toBe(2);
  const chain = entries.get(4)!;
  const words = Array.from({ length: 6 }, (_, i) => view.getUint32(chain + 4 * i, true));
  expect(words).toEqual([1, 3, 1, 0, 2, 0]); // one bucket, three symbols: the list 1, 2
});

test('the fields of the argument block are adjacent and fit two cache lines', () => {
  expect([blockOffset('base'), blockOffset('a'), blockOffset('accumulate')]).toEqual([0, 8, 48]);
});
