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
  const outDir = join(folder, name);
  const start = (made: RunDescription): void => void (run = made);
  await train({ corpus: [corpus], outDir, sampleTokens: 0, ...options }, { start });
  return run!;
}

test('a size is chosen in a run with a time limit that names none', async () => {
  expect(await described('chosen', { minutes: 0.01 })).toMatchObject({ isSizeChosen: true });
  expect(await described('width', { minutes: 0.01, nEmbd: 16 })).toMatchObject({ isSizeChosen: false });
  expect(await described('preset', { minutes: 0.01, preset: 'nano', blockSize: 8 })).toMatchObject({
    isSizeChosen: false,
  });
  expect(await described('tuned', { minutes: 0.01, initFrom: join(folder, 'chosen') })).toMatchObject({
    isSizeChosen: false,
  });
  expect(
    await described('steps', { maxIters: 1, nLayer: 1, nHead: 1, nEmbd: 8, blockSize: 8 }),
  ).toMatchObject({ isSizeChosen: false });
});
