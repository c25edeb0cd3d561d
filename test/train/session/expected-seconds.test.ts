/** The expected time of a run with a time limit. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { TrainModelOptions } from '../../../src/train/settings.ts';
import { trainModel } from '../../../src/train/train-model.ts';

const folder = mkdtempSync(join(tmpdir(), 'expected-'));
const corpus = join(folder, 'text.txt');
writeFileSync(corpus, 'the cat sat on the mat and the dog ate the hat.\n'.repeat(60));
/** A step takes longer. */
const LIMIT_SECONDS = 0.01;
const model = {
  nLayer: 4,
  nHead: 4,
  nEmbd: 128,
  blockSize: 128,
  batchSize: 16,
  valFraction: 0, // the last evaluation would extend the limit
  sampleTokens: 0,
};

/** What is said at the start of a run with the limit, which then ends. */
async function startOf(options: Partial<TrainModelOptions>) {
  let run: { readonly expectedSeconds: number | undefined; readonly steps: number } | undefined;
  await trainModel(
    { corpus: [corpus], minutes: LIMIT_SECONDS / 60, ...options },
    {
      start: ({ expectedSeconds, settings }) => (run = { expectedSeconds, steps: settings.maxIters }),
      interrupted: () => run !== undefined,
    },
  );
  return run;
}

test('a model whose single step exceeds the limit is said to take longer', async () => {
  const run = await startOf({ ...model, outDir: join(folder, 'run') });
  expect(run).toMatchObject({ steps: 1 });
  expect(run!.expectedSeconds).toBeGreaterThan(2 * LIMIT_SECONDS);
});

test('and so is a resumed run whose next step exceeds it', async () => {
  const outDir = join(folder, 'resumed');
  await trainModel({ corpus: [corpus], ...model, maxIters: 1, outDir });
  const run = await startOf({ resume: outDir });
  expect(run).toMatchObject({ steps: 2 });
  expect(run!.expectedSeconds).toBeGreaterThan(2 * LIMIT_SECONDS);
});
