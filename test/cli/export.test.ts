import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readGguf } from '../export/read-gguf.ts';
import { writeModel } from '../fuzz/seeds.ts';
import { expectRefusal, runInProcess } from './in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'export-command-'));
const at = (name: string): string => join(folder, name);
mkdirSync(at('checkpoints'));
writeModel(at('checkpoints/whale-1'), 'char');
writeModel(at('post-norm'), 'char', { norm: 'post' });
writeFileSync(at('there.gguf'), 'mine');

test('the newest run becomes a float16 GGUF file, named after it', async () => {
  const { code, stdout, stderr } = await runInProcess(['export'], folder);
  expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
  expect(stderr).toContain('whale-1-f16.gguf');
  expect(readGguf(at('whale-1-f16.gguf')).metadata['general.name']).toBe('whale-1');
});

test('--format safetensors writes a folder in half the size', async () => {
  const args = ['export', 'whale-1', '--format', 'safetensors'];
  const { code, stderr } = await runInProcess(args, folder);
  expect({ code, stderr }).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('whale-1-bf16') as string,
  });
  const { stdout } = await runInProcess(['inspect', 'whale-1-bf16', '--json'], folder);
  expect(stdout).toContain('"vocab_size"');
  await expectRefusal(args, [1, 'output-exists', 'whale-1-bf16 … --force'], folder);
});

test('--json prints what was written', async () => {
  const args = ['export', 'whale-1', '--dtype', 'q8_0', '-o', 'small.gguf', '--json'];
  const { stdout, stderr } = await runInProcess(args, folder);
  expect(JSON.parse(stdout)).toMatchObject({ format: 'gguf', dtype: 'q8_0', files: ['small.gguf'] });
  expect(JSON.parse(stdout)).toHaveProperty('bytes', statSync(at('small.gguf')).size);
  expect(stderr).toContain('f16'); // rows of 8 are no blocks of 32
});

test('an existing file is replaced with --force only', async () => {
  const args = ['export', 'whale-1', '-o', 'there.gguf'];
  await expectRefusal(args, [1, 'output-exists', 'there.gguf … --force'], folder);
  expect((await runInProcess([...args, '--force'], folder)).code).toBe(0);
  readGguf(at('there.gguf'));
});

test.each([
  [
    ['--format', 'onnx'],
    [2, 'bad-option-value', '--format … onnx … gguf'],
  ],
  [
    ['--dtype', 'q5_0'],
    [2, 'bad-option-value', '--dtype … q5_0 … q4_0'],
  ],
  [
    ['--format', 'safetensors', '--dtype', 'q8_0'],
    [2, 'conflicting-options', 'safetensors … q8_0 … bf16'],
  ],
  [
    ['-o', 'no/where.gguf'],
    [1, 'write-failed', 'no/where.gguf … mkdir'],
  ],
  [
    ['-m', 'whale-1'],
    [2, 'conflicting-options', 'whale-1'],
  ],
] as const)('%j is refused', async (flags, refusal) => {
  await expectRefusal(['export', 'whale-1', ...flags], refusal, folder);
});

test('a model that llama.cpp does not have is refused before anything is written', async () => {
  await expectRefusal(['export', 'post-norm'], [1, 'unsupported-format', 'post'], folder);
  expect(existsSync(at('post-norm-f16.gguf'))).toBe(false);
});

test('what is not a model is named', async () => {
  await expectRefusal(['export', 'there.gguf'], [1, 'unsupported-format', 'there.gguf'], folder);
  await expectRefusal(['export', 'nowhere'], [1, 'file-not-found', 'nowhere'], folder);
});

test('only regular files are replaced, and none of the model that is exported', async () => {
  symlinkSync('there.gguf', at('link.gguf'));
  mkdirSync(at('folder.gguf'));
  for (const output of ['link.gguf', 'folder.gguf', ...(existsSync('/dev/null') ? ['/dev/null'] : [])])
    await expectRefusal(
      ['export', 'whale-1', '-o', output, '--force'],
      [1, 'wrong-file-kind', output],
      folder,
    );
  const weights = 'checkpoints/whale-1/model.safetensors';
  const before = readFileSync(at(weights));
  await expectRefusal(['export', 'whale-1', '-o', weights, '--force'], [1, 'output-exists', weights], folder);
  expect(readFileSync(at(weights)).equals(before)).toBe(true);
});
