import { mkdtempSync, readdirSync, readlinkSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { forecastRun } from '../../src/forecast/run-forecast.ts';
import { train, type TrainOptions } from '../../src/index.ts';
import { attempt, type ErrorCode } from '../../src/errors.ts';
import { failure } from '../fixtures/failure.ts';
import { writeTokens } from '../fuzz/seeds.ts';

describe.runIf(process.platform === 'linux')('a token file is closed', () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'training-data-')));
  const corpus = [join(folder, 'tokens.bin')];
  const outDir = join(folder, 'run');
  const tiny = { nLayer: 1, nHead: 1, nEmbd: 8, blockSize: 8, batchSize: 2, threads: 1 };
  writeTokens(folder);

  const isOpen = (): boolean =>
    readdirSync('/proc/self/fd').some(
      (fd) => attempt(() => readlinkSync(`/proc/self/fd/${fd}`)) === corpus[0],
    );

  test('when a run and its continuation have ended', async () => {
    let wasOpen = false;
    const event = (): void => void (wasOpen ||= isOpen());
    await train({ corpus, outDir, ...tiny, maxIters: 2 }, { event });
    expect([wasOpen, isOpen()]).toEqual([true, false]);
    await train({ corpus: [], resume: outDir, maxIters: 3 });
    expect(isOpen()).toBe(false);
  });

  test.each<[string, Partial<TrainOptions>, ErrorCode]>([
    ['an option that does not fit the file', { tokenizer: 'word' }, 'conflicting-options'],
    ['an unsuitable validation file', { valFile: corpus[0] }, 'not-text'],
    ['a text too short for the model', { blockSize: 1000 }, 'text-too-short'],
    ['a folder that is in the way', { outDir: folder }, 'output-exists'],
  ])('after %s', async (_, options, code) => {
    const training = train({ corpus, outDir: join(folder, 'new'), ...tiny, maxIters: 2, ...options });
    await expect(training).rejects.toThrow(failure(code));
    expect(isOpen()).toBe(false);
  });

  test('after a forecast', async () => {
    await forecastRun({ corpus, ...tiny, maxIters: 2 }, { threads: 1 });
    expect(isOpen()).toBe(false);
  });
});
