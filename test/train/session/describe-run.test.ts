import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { train, type RunDescription, type TrainOptions } from '../../../src/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'describe-run-'));
const corpus = join(folder, 'corpus.txt');
writeFileSync(corpus, 'the white whale and the sea.\n'.repeat(20));

async function described(name: string, options: Partial<TrainOptions>): Promise<RunDescription> {
  let run: RunDescription | undefined;
  const where = options.resume === undefined ? { outDir: join(folder, name) } : {};
  const start = (made: RunDescription): void => void (run = made);
  await train({ corpus: [corpus], sampleTokens: 0, ...where, ...options }, { start });
  return run!;
}

test.each([
  ['a time limit', {}, true],
  ['layers', { nLayer: 1 }, false],
  ['a width', { nEmbd: 16 }, false],
  ['a preset', { preset: 'nano', blockSize: 8, batchSize: 2 }, false],
  ['a dropout', { dropout: 0 }, false],
  ['an untied head', { tieWordEmbeddings: false }, false],
] as const)('a run with %s, %j: the model was chosen: %s', async (name, options, isModelChosen) => {
  expect(await described(name, { minutes: 0.01, ...options })).toMatchObject({ isModelChosen });
});

test.each([
  [
    { preset: 'nano', batchSize: 2, minutes: 0.01 },
    { nLayer: 4, nHead: 4, nEmbd: 128, blockSize: 64 },
  ],
  [
    { preset: 'baby', nLayer: 1, blockSize: 8, batchSize: 2, maxIters: 1 },
    { nHead: 6, nEmbd: 384, dropout: 0.2 },
  ],
] as const)("--preset gives nanoGPT's model and AdamW: %j", async (options, config) => {
  const run = await described(`preset-${options.preset}`, options);
  expect(run).toMatchObject({ config: { arch: 'gpt2', ...config }, settings: { optimizer: 'adamw' } });
});

test('the model of a run with a number of steps was not chosen, and no clock ends it', async () => {
  const { isModelChosen, isLimitedByTime } = await described('steps', {
    maxIters: 1,
    blockSize: 8,
    batchSize: 2,
  });
  expect([isModelChosen, isLimitedByTime]).toEqual([false, false]);
});

test('a run with a time limit ends by the clock or, on a short text, after 80 epochs', async () => {
  const limits = async (minutes: number) => {
    const { isLimitedByTime, isLimitedByText } = await described(`limit-${minutes}`, { minutes });
    return { isLimitedByTime, isLimitedByText };
  };
  expect(await limits(0.005)).toEqual({ isLimitedByTime: true, isLimitedByText: false });
  expect(await limits(10)).toEqual({ isLimitedByTime: false, isLimitedByText: true });
});

test('the model of a run that starts from another or is resumed was not chosen', async () => {
  const { folder: first } = await described('first', { minutes: 0.01 });
  const tuned = await described('tuned', { minutes: 0.01, initFrom: first });
  const resumed = await described('resumed', { resume: first, minutes: 0.01 });
  expect([tuned.isModelChosen, resumed.isModelChosen]).toEqual([false, false]);
});
