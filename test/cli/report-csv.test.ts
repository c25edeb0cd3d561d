/** `gpt report --csv`. */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Papa from 'papaparse';
import { beforeAll, expect, test } from 'vitest';
import { readLogs } from '../../src/checkpoint/logs.ts';
import { trainModel } from '../../src/train/train-model.ts';
import { expectRefusal, runInProcess } from './in-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'report-csv-'));
const run = join(folder, 'checkpoints/whale');
const shape = { nLayer: 1, nHead: 1, nEmbd: 8, blockSize: 8, batchSize: 4, maxIters: 12, evalInterval: 5 };

beforeAll(async () => {
  const corpus = join(folder, 'corpus.txt');
  writeFileSync(corpus, 'The whale, the sea, the ship.\n'.repeat(60));
  await trainModel({ corpus: [corpus], outDir: run, ...shape, emaDecay: 0.9 });
});

const gpt = (...args: string[]) => runInProcess(['report', ...args], folder);

test('has a row per step with what metrics.jsonl has', async () => {
  const { stdout, stderr, code } = await gpt('whale', '--csv');
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  const { data, meta } = Papa.parse<Record<string, string>>(stdout.trimEnd(), { header: true });
  expect(meta.fields!.slice(0, 6)).toEqual([
    'step',
    'tokens_seen',
    'elapsed_seconds',
    'loss',
    'lr',
    'grad_norm',
  ]);
  const { steps, evaluations, end } = readLogs(run);
  expect(data.map((row) => Number(row['step']))).toEqual(steps.map(({ step }) => step));
  expect(data.map((row) => Number(row['loss']))).toEqual(steps.map(({ loss }) => loss));
  expect(data.map((row) => Number(row['tokens_seen']))).toEqual(steps.map(({ step }) => 32 * step));
  const times = data.map((row) => Number(row['elapsed_seconds']));
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  expect(data.every((row) => Number(row['tokens_per_second']) > 0)).toBe(true);
  const evaluated = data.filter((row) => row['val_loss_estimate'] !== '');
  expect(evaluated.map((row) => [row['step'], row['average_val_loss_estimate']].map(Number))).toEqual(
    evaluations.map(({ step, averaging }) => [step, averaging!.averageLoss]),
  );
  const measured = data.filter((row) => row['val_loss'] !== '');
  expect(measured.map((row) => [row['step'], row['val_loss']].map(Number))).toEqual([
    [end!.best!.step, end!.best!.validationLoss],
  ]);
});

test('names the run of each row if there are several, and no name is a formula', async () => {
  const evil = join(folder, 'checkpoints/=cmd');
  mkdirSync(evil, { recursive: true });
  writeFileSync(
    join(evil, 'metrics.jsonl'),
    '{"step":1,"loss":null,"lr":0.1,"grad_norm":2}\n{"step":2,"loss":4.5,"lr":0.1,"grad_norm":2}\n',
  );
  await gpt('checkpoints/=cmd', 'whale', '--csv', '-o', 'runs.csv');
  const lines = readFileSync(join(folder, 'runs.csv'), 'utf8').split('\n');
  expect(lines[0]).toMatch(/^run,step,/);
  expect(lines[1]).toMatch(/^"'=cmd",1,,,,0[.]1,2,,/); // a loss that was not finite is empty
  expect(lines[2]).toMatch(/^"'=cmd",2,,,4[.]5,/);
  expect(lines[3]).toMatch(/^whale,1,32,/);
  expect(lines).toHaveLength(1 + 2 + 12 + 1);
});

test.each([
  [['whale', '--csv', '--text', 'x'], 2, 'commander.conflictingOption', '--csv … --text'],
  [['nowhere', '--csv'], 1, 'file-not-found', 'nowhere'],
  [['.', '--csv'], 1, 'file-not-found', 'metrics.jsonl'],
  [['whale', '--csv', '-o', 'no/where.csv'], 1, 'write-failed', 'no … mkdir'],
] as const)('refuses %j', async (args, code, errorCode, message) => {
  await expectRefusal(['report', ...args], [code, errorCode, message], folder);
});

test.each([
  ['report whale -o', 'checkpoints/whale/model.safetensors', 'a web page'],
  ['report whale --csv -o', 'corpus.txt', 'a CSV file of metrics'],
  ['compare whale whale --html', 'checkpoints/whale/tokenizer.json', 'a web page'],
  ['report whale -o', 'metrics.csv', 'a web page'],
])('%s %s: a file of another kind is not replaced', async (command, file, kind) => {
  await gpt('whale', '--csv', '-o', 'metrics.csv');
  const before = readFileSync(join(folder, file));
  const { stderr, code } = await runInProcess([...command.split(' '), file], folder);
  expect(code).toBe(1);
  expect(stderr).toMatch(new RegExp(`${file} exists and is not ${kind}`));
  expect(readFileSync(join(folder, file)).equals(before)).toBe(true);
});

test('an earlier page or table, or an empty file, is replaced', async () => {
  writeFileSync(join(folder, 'new.html'), '');
  writeFileSync(join(folder, 'new.csv'), '');
  for (let i = 0; i < 2; i++) {
    expect(await gpt('whale', '-o', 'new.html', '-q')).toMatchObject({ stderr: '', code: 0 });
    expect(await gpt('whale', '--csv', '-o', 'new.csv', '-q')).toMatchObject({ stderr: '', code: 0 });
    expect(await gpt('whale', 'whale', '--csv', '-o', 'both.csv', '-q')).toMatchObject({
      stderr: '',
      code: 0,
    });
  }
});
