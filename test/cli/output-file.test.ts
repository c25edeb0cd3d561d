import { spawnSync } from 'node:child_process';
import { lstatSync, mkdtempSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeFileAtomic } from '../../src/write-file.ts';
import { writeOutput } from '../../src/cli/output-file.ts';
import { failure } from '../fixtures/failure.ts';

const folder = mkdtempSync(join(tmpdir(), 'output-file-'));
const at = (name: string): string => join(folder, name);

test('an output file is created or replaced', () => {
  for (const content of ['old', 'new']) {
    writeOutput(at('page.html'), content);
    expect(readFileSync(at('page.html'), 'utf8')).toBe(content);
  }
});

test.each([
  ['a file', 'target'],
  ['no file yet', 'not-yet'],
])('an output that is a link to %s is written through it', (_name, target) => {
  writeFileSync(at('target'), 'old');
  symlinkSync(target, at(`link-to-${target}`)); // relative, as most links are
  symlinkSync(`link-to-${target}`, at(`link-to-link-to-${target}`));
  writeOutput(at(`link-to-link-to-${target}`), 'new');
  expect(lstatSync(at(`link-to-link-to-${target}`)).isSymbolicLink()).toBe(true);
  expect(lstatSync(at(target)).isFile()).toBe(true);
  expect(readFileSync(at(target), 'utf8')).toBe('new');
});

test.skipIf(process.platform === 'win32')('a device is written into, not replaced', () => {
  symlinkSync('/dev/null', at('null'));
  writeOutput(at('null'), 'gone');
  expect(statSync(at('null')).isCharacterDevice()).toBe(true);
  expect(lstatSync(at('null')).isSymbolicLink()).toBe(true);
});

test.skipIf(process.platform === 'win32')('a named pipe is written into, not replaced', () => {
  spawnSync('mkfifo', [at('pipe')]);
  const reader = spawnSync('sh', [
    '-c',
    `cat '${at('pipe')}' & '${process.execPath}' --input-type=module -e "
      import { writeOutput } from '${new URL('../../dist/cli/output-file.js', import.meta.url).href}';
      writeOutput('${at('pipe')}', 'through');"; wait`,
  ]);
  expect(reader.stdout.toString()).toBe('through');
  expect(statSync(at('pipe')).isFIFO()).toBe(true);
});

test('a missing folder is named, with the command that makes it', () => {
  const path = at('no such folder/page.html');
  expect(() => writeOutput(path, 'x')).toThrow(
    expect.objectContaining({
      hint: expect.stringContaining(`mkdir -p "${at('no such folder')}"`) as string,
    }),
  );
  expect(() => writeOutput(path, 'x')).toThrow(failure('write-failed', path, at('no such folder')));
  symlinkSync('gone/page.html', at('link-into-missing-folder'));
  expect(() => writeOutput(at('link-into-missing-folder'), 'x')).toThrow(failure('write-failed', at('gone')));
});

test('an error of the system names the path that was asked for, not the temporary file', () => {
  writeFileSync(at('file'), '');
  const path = at('file/page.html');
  expect(() => writeFileAtomic(path, ['x'])).toThrow(expect.objectContaining({ code: 'ENOTDIR', path }));
});

test('an output that is a folder is refused with its path', () => {
  expect(() => writeOutput(folder, 'x')).toThrow(expect.objectContaining({ code: 'EISDIR', path: folder }));
});
