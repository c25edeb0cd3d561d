/** How a model is named, and what each command and the library say about a name that is neither a path nor a run. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { hintForMissingRun, resolveRun } from '../../src/checkpoint/runs.ts';
import { commandLineTerms } from '../../src/cli/command-line-terms.ts';
import { load, train } from '../../src/index.ts';
import { inTerms } from '../../src/messages.ts';
import { writeModel } from '../fuzz/seeds.ts';
import { expectRefusal } from './in-process.ts';
import { recordingProgram } from './definitions.ts';

beforeAll(async () => {
  process.chdir(mkdtempSync(join(tmpdir(), 'missing-model-')));
  mkdirSync('checkpoints');
  writeFileSync('names.txt', 'anna\nbob\nchris\n'.repeat(40));
  const shape = { nLayer: 1, nHead: 1, nEmbd: 8, blockSize: 8, batchSize: 2 };
  await train({ corpus: ['names.txt'], ...shape, maxIters: 1, sampleTokens: 0 });
});

test.each([
  ['sample -m names x', 'names'],
  ['sample -m checkpoints/names x', 'checkpoints/names'],
  ['eval names.txt -m nmaes-1', 'nmaes-1'],
  ['inspect names', 'names'],
  ['report names', 'names'],
  ['compare names names-1', 'names'],
  ['train names.txt --init-from names', 'names'],
  ['train --resume names', 'names'],
  ['train names.txt --config names', 'names'],
  ['tokenize --encode -m names', 'names'],
])('gpt %s suggests the run that was meant', async (line, missing) => {
  await expectRefusal(line.split(' '), [
    1,
    'file-not-found',
    `${missing}\n`,
    'hint: did you mean names-1?\n',
  ]);
});

test('a folder without a model does not hide a run of its name', async () => {
  mkdirSync('names-1', { recursive: true });
  writeFileSync('names-1/README.md', 'Not a model.\n');
  expect(resolveRun('names-1')).toBe(join('checkpoints', 'names-1'));
  writeFileSync('names-1/config.json', '{}');
  expect(resolveRun('names-1')).toBe('names-1');
  rmSync('names-1', { recursive: true });
  for (const name of ['.', '..', 'names.txt', '']) expect(resolveRun(name)).toBe(name);
  writeFileSync('config.json', '{}'); // checkpoints/.. is a model, but not a run of that name
  for (const name of ['..', '../elsewhere', '/']) expect(resolveRun(name)).toBe(name);
  rmSync('config.json');
});

test('a config is a run by its name under checkpoints/, too', async () => {
  const { parse } = await recordingProgram();
  const { options } = await parse(['train', '--config', 'names-1']);
  expect(options).toMatchObject({ nLayer: 1, nEmbd: 8, maxIters: 1 });
});

test('inspect and report take --model and GPT_MODEL, as sample and eval do', async () => {
  const { parse } = await recordingProgram();
  vi.stubEnv('GPT_MODEL', 'from-environment');
  for (const command of ['inspect', 'report']) {
    const folder = join('checkpoints', 'names-1');
    expect((await parse([command, '-m', 'names-1'])).options).toMatchObject({ model: folder });
    expect((await parse([command])).options).toMatchObject({ model: 'from-environment' });
  }
  vi.unstubAllEnvs();
});

test.each([
  ['inspect names-1 -m other', 'checkpoints/names-1', 'other'],
  ['report names-1 -m other', 'checkpoints/names-1', 'other'],
  ['report names-1 other -m third'],
])('gpt %s, which names a model twice, is refused', async (line, ...models) => {
  await expectRefusal(line.split(' '), [2, 'conflicting-options', '--model', ...models]);
});

describe('in the library', () => {
  test('load, initFrom and resume know runs by their names', async () => {
    await using model = await load('names-1');
    expect(model.config.nEmbd).toBe(8);
    const fineTuned = await train({
      corpus: ['names.txt'],
      initFrom: 'names-1',
      outDir: 'tuned',
      maxIters: 1,
      batchSize: 2,
    });
    expect(fineTuned.progress.step).toBe(1);
    expect((await train({ corpus: [], resume: 'names-1', maxIters: 2 })).progress.step).toBe(2);
  });

  test('load suggests the run that was meant', async () => {
    await expect(load('names')).rejects.toMatchObject({ hint: 'did you mean names-1?' });
  });
});

describe('the hint', () => {
  test('names all runs if none is similar, and those that begin as the name does', () => {
    for (let i = 2; i <= 7; i++) writeModel(`checkpoints/names-${i}`, 'char');
    writeModel('checkpoints/whale song-1', 'char');
    expect(hintForMissingRun('names')).toMatch(/names-1, names-2, names-3, names-4, names-5, … .*\b7\b/);
    for (let i = 2; i <= 7; i++) rmSync(`checkpoints/names-${i}`, { recursive: true });
    expect(inTerms(hintForMissingRun('poems'), commandLineTerms)).toMatch(/names-1, "whale song-1"$/);
  });

  test('without a run says how to train one', () => {
    rmSync('checkpoints', { recursive: true });
    expect(inTerms(hintForMissingRun('poems'), commandLineTerms)).toContain('`gpt train corpus.txt`');
  });
});
