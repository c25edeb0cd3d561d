import { closeSync, mkdtempSync, openSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readInto, readTextFile } from '../src/read-file.ts';
import { failure } from './fixtures/failure.ts';

const folder = mkdtempSync(join(tmpdir(), 'read-file-'));

test('a file that ends before its known size is damaged, with a hint to try again', () => {
  const path = join(folder, 'short');
  writeFileSync(path, 'abc');
  const fd = openSync(path, 'r');
  const read = (): void => readInto(fd, path, new Uint8Array(4), 0);
  expect(read).toThrow(failure('damaged-file', path));
  expect(read).toThrow(expect.objectContaining({ hint: expect.stringContaining('try again') as string }));
  closeSync(fd);
});

test('a file that is not UTF-8 text is named, with a hint to save it as UTF-8', () => {
  const path = join(folder, 'latin1');
  writeFileSync(path, Uint8Array.of(0xe9, 0x0a));
  expect(() => readTextFile(path, 100)).toThrow(failure('not-text', path));
  expect(() => readTextFile(path, 100)).toThrow(
    expect.objectContaining({ hint: expect.stringContaining('UTF-8') as string }),
  );
});
