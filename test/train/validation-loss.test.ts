import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { createWasmBackend } from '../../src/engine/wasm.ts';
import { openScorer } from '../../src/evaluate/evaluate-text.ts';
import { measureScored } from '../../src/evaluate/measures.ts';
import { readSplit } from '../../src/evaluate/training-text.ts';
import { readRun, summarizeRun } from '../../src/inspect/run-record.ts';
import { trainModel } from '../../src/train/train-model.ts';

const words = ['the', 'whale', 'sea', 'ship', 'and', 'of', 'white', 'a', 'harpoon', 'man'];
const text = Array.from(
  { length: 300 },
  (_, i) => `${words[(i * i + 3 * i) % 10]} ${words[(i * 7) % 10]}.\n`,
);

// Up to 16 rows, products with a transposed matrix come from another kernel (kernels/gemm/gemm.ts).
test.each([
  { batchSize: 1, blockSize: 1 },
  { batchSize: 1, blockSize: 8 },
  { batchSize: 2, blockSize: 4 },
  { batchSize: 5, blockSize: 3 },
  { batchSize: 1, blockSize: 16 },
  { batchSize: 1, blockSize: 17 },
  { batchSize: 3, blockSize: 40 },
  { batchSize: 2, blockSize: 500, valFraction: 0.02 }, // a validation split shorter than the context
])('training, evaluation and the record of a run give the same bits with %j', async (shape) => {
  const folder = mkdtempSync(join(tmpdir(), 'validation-loss-'));
  const corpus = join(folder, 'corpus.txt');
  writeFileSync(corpus, text.join(''));
  const model = { nLayer: 2, nHead: 2, nEmbd: 24, maxIters: 3, evalIters: 2, learningRate: 0.01 };
  const run = join(folder, 'run');
  const { validationLoss } = await trainModel({
    ...model,
    ...shape,
    corpus: [corpus],
    outDir: run,
    threads: 2,
  });

  const kept = openModelFolder(run);
  const split = readSplit(run, kept.tokenizer, 'val');
  const backend = await createWasmBackend({ threads: 1 });
  try {
    const scores = openScorer(kept, backend, split.text.ids.length).scores(split.text);
    const { natsPerToken } = await measureScored(split.text, split.characters, scores);
    expect(natsPerToken).toBe(validationLoss);
  } finally {
    await backend.close();
  }
  expect(summarizeRun(readRun(run)).validation).toMatchObject({ loss: validationLoss, isEstimate: false });
});
