/** Any number of ranks trains a model to the bytes of a single process. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test, vi } from 'vitest';
import { GradientExchange } from '../../../src/train/ranks/gradient-exchange.ts';
import type { TrainModelOptions } from '../../../src/train/settings.ts';
import type { TrainHandlers } from '../../../src/train/train-handlers.ts';
import { rankConfigurations, STEPS } from '../../fixtures/rank-configurations.ts';
import { bytesOf, differences } from '../../fixtures/run-bytes.ts';
import { trainOn } from '../../fixtures/train-on-ranks.ts';

const root = mkdtempSync(join(tmpdir(), 'ranks-'));
const at = (name: string): string => join(root, name);

let runs: Record<string, TrainModelOptions>;
beforeAll(async () => {
  runs = await rankConfigurations(root);
});

test('2, 3, 4 and 8 ranks train a run to the bytes of one process', async () => {
  for (const [name, options] of Object.entries(runs)) {
    const folder = (size: number): string => at(`${name}-${size}`);
    const expected = await trainOn(1, { ...options, outDir: folder(1) });
    for (const size of [2, 3, 4, 8]) {
      const found = await trainOn(size, { ...options, outDir: folder(size) });
      expect(found.validationLoss).toBe(expected.validationLoss);
      expect(differences(bytesOf(folder(1)), bytesOf(folder(size))), `${name}, ${size} ranks`).toEqual([]);
    }
  }
});

test('a run is resumed by another number of ranks, to the same bytes', async () => {
  /** The last checkpoint; metrics.jsonl says where a run was interrupted. */
  const lastOf = (folder: string): Map<string, string> =>
    new Map([...bytesOf(folder)].filter(([file]) => file.startsWith(`checkpoint-${STEPS}`)));
  for (const [name, options] of Object.entries(runs)) {
    await trainOn(1, { ...options, outDir: at(`${name}-whole`) });
    const outDir = at(`${name}-resumed`);
    let steps = 0;
    const stopAfter = (limit: number): TrainHandlers => ({
      event: ({ type }) => void (type === 'step' && steps++),
      interrupted: () => steps >= limit,
    });
    await trainOn(4, { ...options, outDir }, stopAfter(2));
    await trainOn(2, { corpus: [], resume: outDir, threads: 1 }, stopAfter(4));
    await trainOn(3, { corpus: [], resume: outDir, threads: 1 });
    const expected = lastOf(at(`${name}-whole`));
    expect(expected.size).toBeGreaterThan(1);
    expect(differences(expected, lastOf(outDir)), name).toEqual([]);
  }
});

test('gradients of several buckets are sent while the backward pass computes the next ones', async () => {
  const [small] = Object.values(runs);
  const large = {
    ...small,
    arch: 'qwen3',
    nLayer: 3,
    nHead: 4,
    nEmbd: 256,
    maxIters: 2,
    evalInterval: 2,
  } as const;
  const sends = vi.spyOn(GradientExchange.prototype, 'send');
  await trainOn(1, { ...large, outDir: at('large-1') });
  expect(sends).not.toHaveBeenCalled();
  await trainOn(2, { ...large, outDir: at('large-2') });
  expect(differences(bytesOf(at('large-1')), bytesOf(at('large-2')))).toEqual([]);
  const { order, readyAfter } = sends.mock.contexts[0] as GradientExchange;
  sends.mockRestore();
  expect(order.length).toBeGreaterThan(2);
  expect(readyAfter[order[0]]).toBeLessThan(0.8 * Math.max(...readyAfter));
});

test('a run that diverges is rolled back on all ranks', async () => {
  const [options] = Object.values(runs);
  const faulty = { ...options, maxIters: 14, saveEvery: 3 };
  /** Losses that look like divergence, after a checkpoint. */
  const handlers = (): TrainHandlers => {
    let faults = 0;
    return {
      inspect: ({ step }, found) => (step >= 4 && faults++ < 5 ? { ...found, loss: NaN } : found),
    };
  };
  await trainOn(1, { ...faulty, outDir: at('rolled-1') }, handlers());
  const events: string[] = [];
  await trainOn(
    3,
    { ...faulty, outDir: at('rolled-3') },
    { ...handlers(), event: ({ type }) => void events.push(type) },
  );
  expect(events).toContain('rollback');
  expect(differences(bytesOf(at('rolled-1')), bytesOf(at('rolled-3')))).toEqual([]);
});
