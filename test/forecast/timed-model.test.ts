import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { forecastRun } from '../../src/forecast/run-forecast.ts';
import type { OptimizerName } from '../../src/train/optimizer.ts';
import type { TimedModel } from '../../src/train/timed-training.ts';

const timed = vi.hoisted(() => [] as TimedModel[]);
vi.mock(import('../../src/train/timed-training.ts'), async (original) => ({
  ...(await original()),
  measureSpeed: (model: TimedModel) => {
    timed.push(model);
    return Promise.resolve({ stepSeconds: 0.01, flopsPerSecond: 64e9 });
  },
}));

const root = mkdtempSync(join(tmpdir(), 'timed-model-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => void timed.splice(0));

describe('the model that a forecast times', () => {
  test.each(['adamw', 'sgd', 'lion', 'muon'] satisfies OptimizerName[])(
    'is trained with %s',
    async (optimizer) => {
      const options = { corpus: [], nLayer: 1, nEmbd: 32, nHead: 1, maxIters: 10 };
      await forecastRun({ ...options, optimizer, labelSmoothing: 0.1, emaDecay: 0.99 }, { threads: 1 });
      expect(timed).toMatchObject([{ optimizer, labelSmoothing: 0.1, hasAverage: true }]);
    },
  );

  test('is the one of a run with a time limit, timed once for steps and time', async () => {
    const text = join(root, 'text.txt');
    writeFileSync(text, 'To be, or not to be, that is the question:\n'.repeat(10_000));
    const { steps, here, flops, attentionFlops } = await forecastRun(
      { corpus: [text], minutes: 1 },
      { threads: 1 },
    );
    expect(timed).toHaveLength(2); // a small one, from which the size is chosen
    expect(here.seconds).toBeLessThanOrEqual(60);
    expect(here.seconds).toBeGreaterThan(55);
    expect(steps).toBeGreaterThan(5000); // of 10 ms
    expect((flops + attentionFlops) / here.flopsPerSecond).toBeCloseTo(0.01 * steps);
  });

  test('takes longer than a limit that a single step exceeds', async () => {
    const text = join(root, 'short.txt');
    writeFileSync(text, 'To be, or not to be, that is the question:\n'.repeat(100));
    const model = { nLayer: 1, nHead: 1, nEmbd: 32, blockSize: 32, batchSize: 2, valFraction: 0 };
    const { steps, here } = await forecastRun(
      { corpus: [text], minutes: 0.005 / 60, ...model },
      { threads: 1 },
    );
    expect(steps).toBe(1);
    expect(here.seconds).toBeGreaterThanOrEqual(0.01);
  });
});
