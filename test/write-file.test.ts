import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { AtomicFile, makeFolder, writeFileAtomic } from '../src/write-file.ts';
import { failure } from './fixtures/failure.ts';

const folder = mkdtempSync(join(tmpdir(), 'atomic-'));
const path = join(folder, 'file');

test('an atomic write accepts text and binary chunks, and replaces an existing file', () => {
  writeFileAtomic(path, ['old']);
  writeFileAtomic(path, ['ab', Uint8Array.of(99), Float32Array.of(1)]);
  expect(readFileSync(path)).toEqual(Buffer.from([97, 98, 99, 0, 0, 0x80, 0x3f]));
  const shared = new Float32Array(new SharedArrayBuffer(8), 4, 1).fill(2); // as the engine's memory is
  writeFileAtomic(path, [shared]);
  expect(new Float32Array(Uint8Array.from(readFileSync(path)).buffer)[0]).toBe(2);
});

test('reports how many bytes have been written', () => {
  const told: number[] = [];
  const pieces = ['four', new Float32Array(10), '', new Uint8Array((64 << 20) + 1)];
  writeFileAtomic(path, pieces, (bytes) => told.push(bytes));
  expect(told).toEqual([4, 44, 44 + (64 << 20), 45 + (64 << 20)]);
});

test('a failed write leaves the old file and no temporary one', () => {
  writeFileAtomic(path, ['old']);
  const failing = function* (): Generator<string> {
    yield 'new';
    throw new Error('no more');
  };
  expect(() => writeFileAtomic(path, failing())).toThrow('no more');
  expect(readFileSync(path, 'utf8')).toBe('old');
  expect(readdirSync(folder)).toEqual(['file']);
});

test('a file is not visible before its commit', () => {
  writeFileAtomic(path, ['old']);
  const file = new AtomicFile(path);
  file.write(Buffer.from('xxnew'));
  file.write(Buffer.from('a '), 0);
  expect(readFileSync(path, 'utf8')).toBe('old');
  file.commit();
  expect(readFileSync(path, 'utf8')).toBe('a new');
});

test('a link planted under the temporary name is replaced, never written through', () => {
  const elsewhere = join(folder, 'elsewhere');
  writeFileSync(elsewhere, 'untouched');
  symlinkSync(elsewhere, join(folder, `page.${process.pid}.tmp`));
  writeFileAtomic(join(folder, 'page'), ['new']);
  expect(readFileSync(elsewhere, 'utf8')).toBe('untouched');
  expect(readFileSync(join(folder, 'page'), 'utf8')).toBe('new');
  for (const name of ['page', 'elsewhere']) rmSync(join(folder, name));
});

test('a killed writer leaves the old file or the new one, never part of one', async () => {
  const target = join(folder, 'killed');
  const size = 4_000_000;
  const content = (n: number) => Buffer.alloc(size, n);
  writeFileAtomic(target, [content(0)]);
  const script = `
    import { writeFileAtomic } from ${JSON.stringify(new URL('../dist/write-file.js', import.meta.url).href)};
    for (let n = 1; ; n = (n % 250) + 1) writeFileAtomic(${JSON.stringify(target)}, [Buffer.alloc(${size}, n)]);
  `;
  for (let i = 0; i < 8; i++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
    const exited = once(child, 'exit');
    await new Promise((resolve) => setTimeout(resolve, 120 + 13 * i));
    child.kill('SIGKILL');
    expect(await exited, 'it was writing when it was killed').toEqual([null, 'SIGKILL']);
    const bytes = readFileSync(target);
    expect(bytes.equals(content(bytes[0])), `after kill ${i}`).toBe(true);
  }
});

test('a folder is created with its parents; one that cannot be created is an error', () => {
  makeFolder(join(folder, 'a/b/c'));
  makeFolder(join(folder, 'a/b/c'));
  expect(readdirSync(join(folder, 'a/b'))).toEqual(['c']);
  expect(() => makeFolder(join(path, 'below-a-file'))).toThrow(failure('wrong-file-kind', path));
  if (process.platform === 'linux') expect(() => makeFolder('/proc/nothing/here')).toThrow('ENOENT');
});
