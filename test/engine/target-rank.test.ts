import { expect, test } from 'vitest';
import { backends } from '../fixtures/backends.ts';
import { runKernel, zeros } from '../fixtures/memory.ts';

test.each(Object.entries(backends))('ties are ranked by the smaller id: %s', async (_name, make) => {
  const row = [1, 3, 3, -2, 3, 0.5, -Infinity, 3, 1, 7];
  const V = row.length;
  const targets = [...row.keys(), -1];
  const N = targets.length;
  const logits = targets.flatMap(() => row);
  const { ranks } = await runKernel(await make(), 'targetRank', { logits, targets, ranks: zeros(N), N, V });
  expect(Array.from(ranks)).toEqual([5, 1, 2, 8, 3, 7, 9, 4, 6, 0, -1]);
});
