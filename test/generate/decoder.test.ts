import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWasmBackend, type WasmBackend } from '../../src/engine/wasm.ts';
import { Layout } from '../../src/engine/memory.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { Evaluator } from '../../src/evaluate/evaluator.ts';
import { Decoder } from '../../src/generate/decoder.ts';
import { generate, generateInParts } from '../../src/generate/generate.ts';
import { placeModel, tensorsOf } from '../../src/model/placement.ts';
import { relativeError } from '../fixtures/golden.ts';
import { collect } from '../fixtures/collect.ts';
import { loadRandom } from '../fixtures/random-model.ts';
import { tinyConfig, tinyDecoder } from './tiny-model.ts';

const config = tinyConfig;
const text = Array.from({ length: 12 }, (_, i) => (i * 17 + 5) % config.vocabSize);

let backend: WasmBackend;
beforeAll(async () => {
  backend = await createWasmBackend({ threads: 2 });
});
afterAll(() => backend.close());

const makeDecoder = (): Decoder => tinyDecoder(backend);

describe('the decoder', () => {
  test('gives the same logits however the tokens are split into calls', async () => {
    const decoder = makeDecoder();
    const whole = (await decoder.read(text)).slice();
    for (const cuts of [[1], [5], [11], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [4, 8]]) {
      decoder.reset();
      let logits = new Float32Array(0);
      for (const [i, from] of [0, ...cuts].entries())
        logits = (await decoder.read(text.slice(from, cuts[i] ?? text.length))).slice();
      expect(relativeError(logits, whole)).toBeLessThan(2e-5);
    }
  });

  test('gives the same logits for a model in the layout of training', async () => {
    const own = (await makeDecoder().read(text)).slice();
    const layout = new Layout();
    const model = placeModel(config, layout);
    backend.reserve(layout.end);
    loadRandom(config, tensorsOf(backend, model.block, model.region));
    const shared = new Decoder(backend, model, layout);
    expect(relativeError(await shared.read(text), own)).toBeLessThan(2e-5);
    shared.reset();
    for (const id of text.slice(0, -1)) await shared.read([id]);
    expect(relativeError(await shared.read(text.slice(-1)), own)).toBeLessThan(2e-5);
  });

  test('agrees with the evaluator on the loss of each token', async () => {
    const decoder = makeDecoder();
    const costs: number[] = [];
    for (const [i, id] of text.slice(1).entries()) {
      const logits = await decoder.read([text[i]]);
      const max = Math.max(...logits);
      costs.push(max + Math.log(logits.reduce((sum, x) => sum + Math.exp(x - max), 0)) - logits[id]);
    }
    const reference = createReferenceBackend('float64');
    const evaluator = new Evaluator(reference, config, { B: 1, T: text.length - 1 });
    loadRandom(config, evaluator.targets());
    const { losses } = await evaluator.score({
      inputs: Int32Array.from(text.slice(0, -1)),
      targets: Int32Array.from(text.slice(1)),
    });
    expect(relativeError(costs, losses)).toBeLessThan(2e-5);
  });

  test('refuses more tokens than its context', async () => {
    const decoder = makeDecoder();
    await expect(decoder.read([...text, 1])).rejects.toThrow(RangeError);
  });
});

describe('generate', () => {
  const options = { temperature: 1, topK: 0, topP: 1, maxTokens: 40, seed: 1 };

  test('samples past the end of the context, the same for the same seed', async () => {
    const decoder = makeDecoder();
    const first = await collect(generate(decoder, text.slice(0, 3), options));
    expect(first.length).toBe(40);
    expect(await collect(generate(decoder, text.slice(0, 3), options))).toEqual(first);
    expect(await collect(generate(decoder, text.slice(0, 3), { ...options, seed: 2 }))).not.toEqual(first);
    expect(await collect(generate(decoder, text.slice(0, 3), { ...options, sample: 1 }))).not.toEqual(first);
  });

  test('can be abandoned within a prefill or decode step', async () => {
    const yielded: (number | undefined)[] = [];
    const generated = generateInParts(makeDecoder(), text.slice(0, 3), { ...options, maxTokens: 20 });
    for await (const id of generated) yielded.push(id ?? undefined);
    const [first, second] = yielded.flatMap((id, i) => (id === undefined ? [] : [i]));
    expect(first).toBeGreaterThan(2);
    expect(second).toBeGreaterThan(first + 2);
    expect(yielded.filter((id) => id !== undefined)).toEqual(
      await collect(generate(makeDecoder(), text.slice(0, 3), { ...options, maxTokens: 20 })),
    );
  });

  test('uses the end of a prompt that is longer than the context', async () => {
    const decoder = makeDecoder();
    const greedy = { ...options, temperature: 0, maxTokens: 5 };
    const long = [...text, ...text.slice(0, 5)];
    expect(await collect(generate(decoder, long, greedy))).toEqual(
      await collect(generate(decoder, long.slice(-12), greedy)),
    );
  });

  test('never samples a banned token and ends at a stop token', async () => {
    const decoder = makeDecoder();
    const drawn = await collect(generate(decoder, [1], options));
    const banned = new Set(drawn.slice(0, 2));
    expect((await collect(generate(decoder, [1], { ...options, banned }))).some((id) => banned.has(id))).toBe(
      false,
    );
    const stop = new Set([drawn[3]]);
    expect(await collect(generate(decoder, [1], { ...options, stop }))).toEqual(
      drawn.slice(0, drawn.indexOf(drawn[3])),
    );
  });
});
