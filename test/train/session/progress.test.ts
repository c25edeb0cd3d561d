/** What a run tells of its progress between steps, from the first parameter to the last checkpoint. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { trainModel } from '../../../src/train/train-model.ts';
import type { TrainModelOptions } from '../../../src/train/settings.ts';

const folder = mkdtempSync(join(tmpdir(), 'progress-'));
const corpus = join(folder, 'corpus.txt');
writeFileSync(corpus, 'Call me Ishmael. Some years ago, never mind how long.\n'.repeat(60));
const outDir = join(folder, 'run');
const shape = { nLayer: 1, nHead: 2, nEmbd: 16, blockSize: 16, batchSize: 4 };

/** Each activity that was reported, with its shares. */
async function reported(options: TrainModelOptions): Promise<Record<string, (number | undefined)[]>> {
  const told = new Map<string, (number | undefined)[]>();
  const report = (activity: string, done?: number): void =>
    void told.set(activity, [...(told.get(activity) ?? []), done]);
  await trainModel(options, { preparing: report, working: report });
  return Object.fromEntries(told);
}

/** Shares rise to 1, and may then start again: a run saves more than one checkpoint. */
const isRising = (shares: readonly (number | undefined)[]): boolean =>
  shares.every((share, i) => {
    const before = shares[i - 1] ?? 0;
    return share! >= 0 && share! <= 1 && (share! >= before || before === 1);
  }) && shares.at(-1) === 1;

test('initializing, evaluating and saving are reported; so is loading a checkpoint', async () => {
  const first = await reported({ corpus: [corpus], ...shape, maxIters: 2, evalIters: 2, outDir });
  expect(first).toMatchObject({ evaluating: expect.arrayContaining([undefined]) });
  for (const activity of [
    'initializing the parameters',
    'saving a checkpoint',
    'evaluating the whole validation split',
  ])
    expect(isRising(first[activity]), activity).toBe(true);
  expect(first['saving the best model'].at(-1)).toBe(1);
  expect(first).not.toHaveProperty('loading the checkpoint');

  const resumed = await reported({ corpus: [], resume: outDir, maxIters: 3 });
  const loaded = resumed['loading the checkpoint'];
  expect(isRising(loaded)).toBe(true);
  expect(loaded[0]).toBeLessThan(1 / 3);
});

test('parameters that are loaded are not initialized before', async () => {
  const first = join(folder, 'first');
  await reported({ corpus: [corpus], ...shape, maxIters: 1, evalIters: 1, outDir: first });
  const resumed = await reported({ corpus: [], resume: first, maxIters: 2 });
  expect(resumed).not.toHaveProperty('initializing the parameters');
  const tuned = {
    corpus: [corpus],
    initFrom: first,
    maxIters: 1,
    evalIters: 1,
    outDir: join(folder, 'tuned'),
  };
  expect(await reported(tuned)).not.toHaveProperty('initializing the parameters');
});
