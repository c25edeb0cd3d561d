import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWasmBackend, type WasmBackend } from '../../src/engine/wasm.ts';
import { beamSearch, type BeamOptions, type Hypothesis } from '../../src/generate/beam-search.ts';
import type { Decoder } from '../../src/generate/decoder.ts';
import { generate } from '../../src/generate/generate.ts';
import { allParts } from '../../src/polling.ts';
import { logProbabilities } from '../../src/generate/token-details.ts';
import { tinyConfig, tinyDecoder } from './tiny-model.ts';
import { collect } from '../fixtures/collect.ts';

const config = { ...tinyConfig, vocabSize: 4, blockSize: 8 };
let backend: WasmBackend;
beforeAll(async () => {
  backend = await createWasmBackend({ threads: 1 });
});
afterAll(() => backend.close());

function search(decoder: Decoder, prompt: number[], options: BeamOptions): Promise<Hypothesis[]> {
  return allParts(beamSearch(decoder, prompt, options));
}

/** Every text there is, with its log-probability, each token predicted from all before it. */
async function* allTexts(
  decoder: Decoder,
  prompt: number[],
  options: BeamOptions,
  ids: number[] = [],
  logprob = 0,
): AsyncGenerator<Hypothesis> {
  if (ids.length === options.maxTokens || (ids.length > 0 && options.isEnd?.(ids))) {
    yield { ids, logprob, score: logprob / ids.length ** options.lengthPenalty };
    return;
  }
  decoder.reset();
  const logs = logProbabilities(await decoder.read([...prompt, ...ids]));
  for (let id = 0; id < config.vocabSize; id++)
    if (!options.banned?.has(id)) yield* allTexts(decoder, prompt, options, [...ids, id], logprob + logs[id]);
}

describe('beam search', () => {
  test('prefills and decodes in parts, so that it can be interrupted', async () => {
    const partsOf = async (maxTokens: number): Promise<number> => {
      const options = { beams: 2, maxTokens, lengthPenalty: 1 };
      const steps = beamSearch(tinyDecoder(backend, 2, config), [3, 1], options);
      let parts = 0;
      while ((await steps.next()).done !== true) parts++;
      return parts;
    };
    const prefill = await partsOf(1);
    expect(prefill).toBeGreaterThan(2);
    expect(await partsOf(2)).toBeGreaterThan(prefill + 2);
  });

  const endless = { beams: 16, maxTokens: 3, lengthPenalty: 1 };
  test.each([
    ['texts of one length', endless],
    ['a banned token', { ...endless, banned: new Set([2]) }],
    ['texts that end', { ...endless, isEnd: (ids: readonly number[]) => ids.at(-1) === 1 }],
    [
      'long ones preferred',
      { ...endless, lengthPenalty: 3, isEnd: (ids: readonly number[]) => ids.at(-1) === 1 },
    ],
  ])('with enough beams finds the most probable text: %s', async (_name, options) => {
    const all = await collect(allTexts(tinyDecoder(backend, 1, config), [3, 1], options));
    const best = all.sort((a, b) => b.score - a.score);
    const found = await search(tinyDecoder(backend, 16, config), [3, 1], options);
    expect(found[0].ids).toEqual(best[0].ids);
    expect(found[0].logprob).toBeCloseTo(best[0].logprob, 4);
    expect(found[0].score).toBeCloseTo(best[0].score, 4);
    if (options === endless)
      expect(found.slice(0, 4).map(({ ids }) => ids)).toEqual(best.slice(0, 4).map(({ ids }) => ids));
  });

  test('with one beam is greedy decoding, also past the end of the context', async () => {
    const found = await search(tinyDecoder(backend, 1), [5, 9], {
      beams: 1,
      maxTokens: 30,
      lengthPenalty: 1,
    });
    const greedy = { temperature: 0, topK: 0, topP: 1, maxTokens: 30, seed: 1 };
    expect(found[0].ids).toEqual(await collect(generate(tinyDecoder(backend), [5, 9], greedy)));
  });

  test('reports the probability of each text, however KV caches were copied', async () => {
    const [decoder, alone] = [tinyDecoder(backend, 6), tinyDecoder(backend)];
    for (const { ids, logprob } of await search(decoder, [4, 8, 15], {
      beams: 6,
      maxTokens: 9,
      lengthPenalty: 0,
    })) {
      let sum = 0;
      alone.reset();
      let logits = await alone.read([4, 8, 15]);
      for (const id of ids) {
        sum += logProbabilities(logits)[id];
        if (alone.length < tinyConfig.blockSize) logits = await alone.read([id]);
      }
      expect(logprob).toBe(sum);
    }
  });

  test('finds a more probable text than greedy decoding', async () => {
    const settings = { maxTokens: 9, lengthPenalty: 0 };
    const best = async (beams: number) =>
      (await search(tinyDecoder(backend, beams), [16], { ...settings, beams }))[0].logprob;
    expect(await best(8)).toBeGreaterThan(await best(1));
  });

  test('continues several beams past the end of the context', async () => {
    const found = await search(tinyDecoder(backend, 3), [5, 9], {
      beams: 3,
      maxTokens: 30,
      lengthPenalty: 1,
    });
    expect(found.map(({ ids }) => ids.length)).toEqual([30, 30, 30]);
    expect(new Set(found.map(({ ids }) => ids.join())).size).toBe(3);
  });
});
