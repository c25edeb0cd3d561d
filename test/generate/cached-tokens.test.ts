import { afterAll, beforeAll, expect, test } from 'vitest';
import { createWasmBackend, type WasmBackend } from '../../src/engine/wasm.ts';
import { CachedTokens } from '../../src/generate/cached-tokens.ts';
import { allParts } from '../../src/polling.ts';
import { relativeError } from '../fixtures/golden.ts';
import { tinyConfig, tinyDecoder } from './tiny-model.ts';

let backend: WasmBackend;
beforeAll(async () => {
  backend = await createWasmBackend({ threads: 2 });
});
afterAll(() => backend.close());

const tokens = (length: number, start = 0): number[] =>
  Array.from({ length }, (_, i) => (i * 17 + 5 + start) % tinyConfig.vocabSize);

/** Logits after some tokens, computed from scratch. */
const logitsOf = async (ids: readonly number[]): Promise<Float32Array> =>
  (await tinyDecoder(backend).read(ids)).slice();

test('only what differs from the cache is prefilled, and the logits are those of a full prefill', async () => {
  const decoder = tinyDecoder(backend);
  const prefilled: number[] = [];
  const reading = decoder.reading.bind(decoder);
  decoder.reading = (ids, text) => {
    prefilled.push(ids.length);
    return reading(ids, text);
  };
  const cache = new CachedTokens(decoder);
  const turns = [
    tokens(6),
    [...tokens(6), ...tokens(4, 1)],
    [...tokens(3), ...tokens(5, 2)],
    tokens(2, 3),
    tokens(2, 3),
  ];
  for (const ids of turns)
    expect(relativeError((await allParts(cache.reading(ids))).slice(), await logitsOf(ids))).toBeLessThan(
      2e-5,
    );
  expect(prefilled).toEqual([6, 4, 5, 2, 1]);
  expect(cache.length).toBe(2);
});

test('tokens of an answer are appended, and part of what the next turn shares', async () => {
  const cache = new CachedTokens(tinyDecoder(backend));
  await allParts(cache.reading(tokens(5)));
  const logits = (await allParts(cache.appending(3))).slice();
  expect(relativeError(logits, await logitsOf([...tokens(5), 3]))).toBeLessThan(2e-5);
  expect(cache.sharedWith([...tokens(5), 3, 1])).toBe(6);
  expect(cache.sharedWith([...tokens(5), 4, 1])).toBe(5);
  expect(cache.sharedWith([...tokens(5), 3])).toBe(5); // the logits of the last token are not kept
});

test('an abandoned prefill keeps the tokens that are shared', async () => {
  const cache = new CachedTokens(tinyDecoder(backend));
  await allParts(cache.reading(tokens(5)));
  const abandoned = cache.reading([...tokens(3), 1, 2, 3]);
  await abandoned.next();
  await abandoned.return(undefined as never);
  expect(cache.length).toBe(3);
  const ids = [...tokens(4), 2];
  expect(relativeError((await allParts(cache.reading(ids))).slice(), await logitsOf(ids))).toBeLessThan(2e-5);
});
