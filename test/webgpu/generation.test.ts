/** What `sample`, `eval` and `chat` compute with, on a GPU. */
import { expect, test } from 'vitest';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { relativeError } from '../fixtures/golden.ts';
import { runKernel, zeros } from '../fixtures/memory.ts';
import { tinyConfig, tinyDecoder } from '../generate/tiny-model.ts';
import { borrowGpu } from './backends.ts';

const text = Array.from({ length: 12 }, (_, i) => (i * 17 + 5) % tinyConfig.vocabSize);

test('a prompt read at once or token by token gives the logits of the reference', async () => {
  const expected = (await tinyDecoder(createReferenceBackend('float64')).read(text)).slice();
  const decoder = tinyDecoder(await borrowGpu());
  expect(relativeError(await decoder.read(text), expected)).toBeLessThan(1e-5);
  decoder.reset();
  for (const id of text.slice(0, -1)) await decoder.read([id]);
  expect(relativeError(await decoder.read(text.slice(-1)), expected)).toBeLessThan(1e-5);
});

test('dropout masks are those of the CPU', async () => {
  const n = 1000;
  const p = 0.3;
  const args = {
    x: Array.from({ length: n }, () => 1),
    rng: [11, -22, 33, 44],
    y: zeros(n),
    n,
    site: 5,
    threshold: Math.round(p * 2 ** 32) | 0,
    scale: 1 / (1 - p),
  };
  const expected = await runKernel(createReferenceBackend('float32'), 'dropout', args);
  const { y } = await runKernel(await borrowGpu(), 'dropout', args);
  expect(Array.from(y)).toEqual(Array.from(expected['y']));
});

test('a row of a product has the same bits alone and among others, so that sequences may share a pass', async () => {
  const [N, K] = [9, 130];
  const gpu = await borrowGpu();
  const numbers = (length: number): number[] => Array.from({ length }, (_, i) => Math.sin(i * 1.7));
  const a = numbers(16 * K);
  const product = async (rows: readonly number[]): Promise<number[]> => {
    const args = { b: numbers(N * K), bias: numbers(N), M: rows.length / K, N, K, transA: 0, transB: 1 };
    return Array.from(
      (await runKernel(gpu, 'gemm', { ...args, a: rows, c: zeros((rows.length / K) * N) }))['c'],
    );
  };
  const all = await product(a);
  for (const rows of [1, 2, 3, 5, 8, 13])
    expect(await product(a.slice((16 - rows) * K)), `${rows} rows`).toEqual(all.slice((16 - rows) * N));
});
