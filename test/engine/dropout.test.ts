import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Device } from '../../src/engine/device.ts';
import { philox4x32 } from '../../src/engine/philox.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { chooseBackend } from '../../src/engine/backend.ts';
import { runKernel, zeros, type Numbers } from '../fixtures/memory.ts';

const n = 10_000;
const rng = [11, 22, 33, 44];
const p = 0.3;
const threshold = Math.round(p * 2 ** 32) | 0;

const backends: Device[] = [createReferenceBackend('float32')];
beforeAll(async () => {
  backends.push((await chooseBackend({ threads: 2 })).backend);
});
afterAll(() => Promise.all(backends.map((backend) => backend.close())));

async function drop(backend: Device, site: number): Promise<Numbers> {
  const ones = Array.from({ length: n }, () => 1);
  const scale = 1 / (1 - p);
  const { y } = await runKernel(backend, 'dropout', { x: ones, rng, y: zeros(n), n, site, threshold, scale });
  return y;
}

test('dropout zeroes the given fraction and scales the rest, with a different mask at each site', async () => {
  for (const backend of backends) {
    const [one, two] = [await drop(backend, 1), await drop(backend, 2)];
    const share = one.filter((x) => x === 0).length / n;
    expect(Math.abs(share - p)).toBeLessThan(0.02); // 4 standard errors
    expect(new Set(one)).toEqual(new Set([0, Math.fround(1 / (1 - p))]));
    const both = one.filter((x, i) => x === 0 && two[i] === 0).length / n;
    expect(Math.abs(both - p * p)).toBeLessThan(0.02);
  }
});

test('the mask of element i is lane i mod 4 of Philox counter ⌊i/4⌋', async () => {
  const words = new Uint32Array(4);
  for (const backend of backends) {
    const found = await drop(backend, 5);
    for (const i of [0, 1, 2, 3, 4, 17, 4095, n - 1]) {
      philox4x32([i >> 2, 5, rng[2], rng[3]], [rng[0], rng[1]], words);
      expect(found[i] > 0).toBe(words[i & 3] >= threshold >>> 0);
    }
  }
});
