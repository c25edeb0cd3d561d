import { expect, test } from 'vitest';
import { backends } from '../fixtures/backends.ts';

test.each(Object.entries(backends))('ranks among equals by the smaller id: %s', async (_name, make) => {
  const backend = await make();
  const logits = [1, 3, 3, -2, 3, 0.5, -Infinity, 3, 1, 7];
  const V = logits.length;
  const targets = [...logits.keys(), -1];
  const N = targets.length;
  backend.reserve(1024);
  for (let n = 0; n < N; n++) backend.floats.set(logits, n * V);
  backend.ints.set(targets, 512);
  const at = (offset: number, length: number) => ({ offset, length });
  const args = { logits: at(0, N * V), targets: at(512, N), ranks: at(640, N), N, V };
  backend.load([{ kernel: 'targetRank', label: '', args }]).run();
  expect(Array.from(backend.floats.subarray(640, 640 + N))).toEqual([5, 1, 2, 8, 3, 7, 9, 4, 6, 0, -1]);
});
