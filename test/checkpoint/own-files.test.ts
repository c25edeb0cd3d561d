import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { writeCard } from '../../src/checkpoint/card-file.ts';
import { writeModelDescription } from '../../src/checkpoint/model-folder.ts';
import {
  isRun,
  REMOVED_IN_ORDER,
  removeCheckpoint,
  REPORT_GENERATOR,
  sweepTemporaries,
} from '../../src/checkpoint/own-files.ts';
import { checkpointsOf } from '../../src/checkpoint/checkpoint-folders.ts';
import { createRun } from '../../src/checkpoint/run.ts';
import { saveCheckpoint, writeTrainerOutput } from './run-fixtures.ts';
import { config, tensorsOf, tokenizer } from './tiny-model.ts';
import { failure } from '../fixtures/failure.ts';

const root = mkdtempSync(join(tmpdir(), 'own-files-'));
const folder = join(root, 'run');
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const overwrite = () => createRun(folder, config, tokenizer, { overwrite: true }).close();
const startRun = async (): Promise<void> => {
  const run = createRun(folder, config, tokenizer);
  run.log('metrics', { step: 5 });
  await run.saveBest(
    tensorsOf(() => 1),
    {},
  );
  await saveCheckpoint(run, 5);
  run.close();
};

test('the clean-up removes half-written files of a run, and nothing else', () => {
  const { pid } = spawnSync(process.execPath, ['-e', '']);
  mkdirSync(join(folder, `checkpoint-7.${pid}.tmp`), { recursive: true });
  const kept = [`report.html.${process.ppid}.tmp`, 'notes.tmp', `notes.${pid}.tmp`, 'config.json.tmp'];
  for (const name of [
    `model.safetensors.${pid}.tmp`,
    `config.json.${process.ppid}.tmp`,
    `README.md.${pid}.tmp`,
    `run.lock.${pid}.stale.tmp`,
    ...kept,
  ])
    writeFileSync(join(folder, name), '');
  sweepTemporaries(folder);
  expect(readdirSync(folder).sort()).toEqual(kept.sort());
});

test('--overwrite removes the run and leaves other files', async () => {
  await startRun();
  writeFileSync(join(folder, 'report.html'), `<meta name="generator" content="${REPORT_GENERATOR}" />`);
  writeCard(folder, '# whale\n');
  writeFileSync(join(folder, 'notes.txt'), 'mine');
  mkdirSync(join(folder, 'drafts.tmp'));
  overwrite();
  expect(readdirSync(folder).sort()).toEqual([
    'config.json',
    'drafts.tmp',
    'generation_config.json',
    'notes.txt',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  writeFileSync(join(folder, 'report.html'), '<h1>Quarterly report</h1>');
  overwrite();
  expect(existsSync(join(folder, 'report.html'))).toBe(true);
});

test('--overwrite accepts a folder that is not a run, and removes nothing from it', () => {
  mkdirSync(join(folder, 'drafts.tmp'), { recursive: true });
  for (const name of ['report.html', 'README.md', 'notes.tmp']) writeFileSync(join(folder, name), 'mine');
  overwrite();
  expect(readFileSync(join(folder, 'README.md'), 'utf8')).toBe('mine');
  expect(readFileSync(join(folder, 'report.html'), 'utf8')).toBe('mine');
  expect(readdirSync(folder)).toEqual(expect.arrayContaining(['drafts.tmp', 'notes.tmp', 'config.json']));
});

test.each<[string, () => void, string]>([
  ['a checkpoint of another program', () => mkdirSync(join(folder, 'checkpoint-7')), 'checkpoint-7'],
  ['a link named like one', () => symlinkSync(root, join(folder, 'checkpoint-7')), 'checkpoint-7'],
  ['a log of another program', () => writeFileSync(join(folder, 'metrics.jsonl'), 'mine'), 'metrics.jsonl'],
  ['a model of another program', () => writeFileSync(join(folder, 'config.json'), '{}'), 'config.json'],
  ["the output of Hugging Face's Trainer", () => writeTrainerOutput(folder, 500), 'checkpoint-500'],
])('--overwrite refuses %s', (_name, write, file) => {
  mkdirSync(folder);
  write();
  const before = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  expect(overwrite).toThrow(failure('output-exists', join(folder, file)));
  expect(readdirSync(folder, { recursive: true, encoding: 'utf8' })).toEqual(before);
});

test('a model that transformers saved with the config of a run is not taken for a run', () => {
  writeModelDescription(folder, config, tokenizer);
  expect(isRun(folder)).toBe(true); // a run that was killed before its first checkpoint
  writeTrainerOutput(folder, 3);
  expect(isRun(folder)).toBe(false);
});

test('a kill while a run is replaced leaves one that can be replaced again', async () => {
  for (let removed = 1; removed < REMOVED_IN_ORDER.length; removed++) {
    await startRun();
    for (const { folder: checkpoint } of checkpointsOf(folder)) removeCheckpoint(checkpoint);
    for (const file of REMOVED_IN_ORDER.slice(0, removed)) rmSync(join(folder, file), { force: true });
    overwrite();
    rmSync(folder, { recursive: true });
  }
});
