/** The expected time of a run with a time limit. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { trainModel } from '../../../src/train/train-model.ts';

test('a model whose single step exceeds the limit is said to take longer', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'expected-'));
  const corpus = join(folder, 'text.txt');
  writeFileSync(corpus, 'the cat sat on the mat and the dog ate the hat.\n'.repeat(60));
  const limit = 0.01; // in seconds
  let run: { readonly expectedSeconds: number | undefined; readonly steps: number } | undefined;
  await trainModel(
    {
      corpus: [corpus],
      outDir: join(folder, 'run'),
      minutes: limit / 60,
      nLayer: 4,
      nHead: 4,
      nEmbd: 128,
      blockSize: 128,
      batchSize: 16,
      valFraction: 0, // the last evaluation would extend the limit
      sampleTokens: 0,
    },
    {
      start: ({ expectedSeconds, settings }) => (run = { expectedSeconds, steps: settings.maxIters }),
      interrupted: () => run !== undefined,
    },
  );
  expect(run).toMatchObject({ steps: 1 });
  expect(run!.expectedSeconds).toBeGreaterThan(2 * limit);
});
