import { describe, expect, test } from 'vitest';
import { SequenceBatch } from '../../src/generate/sequence-batch.ts';
import { MAX_TEXTS, textsAtOnce, type Decoder } from '../../src/generate/decoder.ts';
import { generate, type GenerateOptions } from '../../src/generate/generate.ts';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import type { Device } from '../../src/engine/device.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { createWasmBackend, builds } from '../../src/engine/wasm.ts';
import { tinyConfig, tinyDecoder } from './tiny-model.ts';
import { collect } from '../fixtures/collect.ts';

const options: GenerateOptions = { temperature: 1, topK: 0, topP: 1, maxTokens: 40, seed: 7 };
const prompts = Array.from({ length: MAX_TEXTS + 2 }, (_, i) =>
  Array.from({ length: 1 + ((5 * i) % 15) }, (__, j) => (i * 7 + j * 11) % tinyConfig.vocabSize),
);
const endOf = (i: number): number => 2 + ((11 * i) % 13);

/** Three texts after each prompt. */
const numberOf = (i: number) => ({ promptIndex: Math.floor(i / 3), sample: i % 3 });

/** Writes a text after each prompt, text i with `endOf(i)` tokens, as many together as the decoder can. */
async function writeAll(decoder: Decoder, settings: GenerateOptions): Promise<number[][]> {
  const written: number[][] = prompts.map(() => []);
  const batch = new SequenceBatch<number>(decoder, settings);
  let next = 0;
  while (next < prompts.length || batch.size > 0) {
    for (; batch.free > 0 && next < prompts.length; next++)
      await batch.add(next, prompts[next], numberOf(next));
    for (const { text, id } of batch.draw()) {
      written[text].push(id);
      if (written[text].length === endOf(text)) batch.end(text);
    }
    await batch.advance();
  }
  return written;
}

const reference = () => Promise.resolve(createReferenceBackend('float32'));
const backends = [
  ['reference', reference, reference],
  ...builds.map((variant) => [
    variant,
    () => createWasmBackend({ threads: 1, variant }),
    () => createWasmBackend({ threads: 2, variant }),
  ]),
] as [string, () => Promise<Device>, () => Promise<Device>][];

describe.each(backends)(
  'texts decoded as a batch are bit-identical to those decoded alone: %s',
  (_name, makeOne, makeOther) => {
    test.each([
      ['drawn from everything', options],
      [
        'filtered and penalised',
        { ...options, topK: 9, minP: 0.01, repetitionPenalty: 1.2, frequencyPenalty: 0.3 },
      ],
    ])('%s', async (_what, settings) => {
      const [one, other] = await Promise.all([makeOne(), makeOther()]);
      const decoder = tinyDecoder(one);
      const alone: number[][] = [];
      for (const [i, prompt] of prompts.entries()) {
        const number = { maxTokens: endOf(i), ...numberOf(i) };
        alone.push(await collect(generate(decoder, prompt, { ...settings, ...number })));
      }
      expect(await writeAll(tinyDecoder(one, 3), settings)).toEqual(alone);
      expect(await writeAll(tinyDecoder(other, MAX_TEXTS), settings)).toEqual(alone);
      await Promise.all([one.close(), other.close()]);
    });
  },
);

test('texts sampled with one seed are independent: no two of 60 prompts, or of 3 samples each, are alike', async () => {
  const decoder = tinyDecoder(createReferenceBackend('float32'));
  const flat = { ...options, temperature: 50, maxTokens: 10 };
  // 31¹⁰ nearly equally likely texts: two alike among 180 happen once in fifty billion seeds.
  const texts: string[] = [];
  for (let i = 0; i < 180; i++)
    texts.push((await collect(generate(decoder, [3], { ...flat, ...numberOf(i) }))).join(' '));
  expect(new Set(texts).size).toBe(180);
});

test('the KV caches of a large model limit the batch size', () => {
  const large = {
    ...gpt2Defaults,
    vocabSize: 50_257,
    blockSize: 1024,
    nLayer: 48,
    nHead: 25,
    nEmbd: 1600,
    dropout: 0,
  };
  expect(textsAtOnce(tinyConfig, 100)).toBe(MAX_TEXTS);
  expect(textsAtOnce(tinyConfig, 3)).toBe(3);
  expect(textsAtOnce(large, 8)).toBe(1);
});
