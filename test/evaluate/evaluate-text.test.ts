import { describe, expect, test } from 'vitest';
import type { ModelFolder } from '../../src/checkpoint/model-folder.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { createWasmBackend } from '../../src/engine/wasm.ts';
import { openScorer } from '../../src/evaluate/evaluate-text.ts';
import { measure, SPELLING_BITS, type TokenScores } from '../../src/evaluate/measures.ts';
import { partOfText, textOf, type TokenizedText } from '../../src/evaluate/tokenized-text.ts';
import { Decoder } from '../../src/generate/decoder.ts';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import { createCharTokenizer } from '../../src/tokenizer/char.ts';
import { encode } from '../../src/tokenizer/tokenizer.ts';
import { failure } from '../fixtures/failure.ts';
import { collect } from '../fixtures/collect.ts';
import { loadRandom } from '../fixtures/random-model.ts';

const tokenizer = createCharTokenizer(['\n', ' ', 'a', 'b', 'c', 'é', '<unk>']);
const config = {
  ...gpt2Defaults,
  vocabSize: tokenizer.vocabSize,
  blockSize: 8,
  nLayer: 1,
  nHead: 2,
  nEmbd: 12,
  dropout: 0,
};
const folder: ModelFolder = {
  folder: 'model',
  config,
  tokenizer,
  metadata: {},
  storageOf: () => 'f32',
  load: (targets) => loadRandom(config, targets),
  open: () => expect.unreachable('an evaluation loads all weights'),
};

function tokenized(text: string): TokenizedText {
  const unknown: string[] = [];
  const ids = encode(tokenizer, text, (found) => unknown.push(found.text));
  return { tokenizer, ids, unknown };
}

const text = tokenized('abc cab é bca\nbaba xylo abc 🐋 aab ca');

/** What each token costs and its rank, one token after the other, each with the context that the stride promises. */
async function oneByOne(stride: number) {
  const decoder = Decoder.create(createReferenceBackend('float64'), config, (tensors) =>
    folder.load(tensors),
  );
  const scores: { readonly nats: number; readonly rank: number }[] = [];
  for (const [i, id] of text.ids.subarray(1).entries()) {
    const window = i < 8 ? 0 : Math.ceil((i + 1 - 8) / stride);
    decoder.reset();
    const logits = await decoder.read(text.ids.subarray(window * stride, i + 1));
    const sum = logits.reduce((total, x) => total + Math.exp(x), 0);
    const rank = logits.reduce((n, x, v) => n + (x > logits[id] || (x === logits[id] && v < id) ? 1 : 0), 0);
    scores.push({ nats: Math.log(sum) - logits[id], rank });
  }
  return scores;
}

/** What each token costs, in order. */
const natsOf = async (scores: AsyncIterable<TokenScores>): Promise<number[]> =>
  (await collect(scores)).flatMap(({ nats }) => Array.from(nats));

describe('scores', () => {
  test.each([1, 2, 3, 5, 7, 8])('with a stride of %i are those of each window by itself', async (stride) => {
    const scorer = openScorer(folder, createReferenceBackend('float64'), text.ids.length, { stride });
    const expected = await oneByOne(stride);
    let next = 1;
    for await (const { first, nats, ranks } of scorer.scores(text)) {
      expect(first).toBe(next);
      for (let i = 0; i < nats.length; i++, next++) {
        expect(nats[i]).toBeCloseTo(expected[next - 1].nats, 5);
        expect(ranks![i]).toBe(expected[next - 1].rank);
      }
    }
    expect(next).toBe(text.ids.length);
  });

  test('do not depend on the other texts of the scorer', async () => {
    const scorer = openScorer(folder, createReferenceBackend('float64'), 500);
    const costs = await natsOf(scorer.scores(text));
    (await oneByOne(8)).forEach(({ nats }, i) => expect(costs[i]).toBeCloseTo(nats, 5));
  });

  test('of a short text are bit-identical alone and next to a longer one', async () => {
    const backend = await createWasmBackend({ threads: 1 });
    const costs = async (tokens: number): Promise<number[][]> => {
      const all: number[][] = [];
      for (const length of [2, 3, 9]) {
        const scorer = openScorer(folder, backend, Math.max(tokens, length));
        all.push(await natsOf(scorer.scores(partOfText(text, 0, length))));
      }
      return all;
    };
    try {
      expect(await costs(0)).toEqual(await costs(500));
    } finally {
      await backend.close();
    }
  });

  test('need a stride within the block and a text of two tokens', async () => {
    const backend = createReferenceBackend('float64');
    expect(() => openScorer(folder, backend, 50, { stride: 9 })).toThrow(failure('bad-option-value', '9'));
    const scorer = openScorer(folder, backend, 1);
    await expect(natsOf(scorer.scores(partOfText(text, 0, 1)))).rejects.toThrow(failure('text-too-short'));
  });
});

describe('measures', () => {
  const twoBits = { first: 1, nats: new Float64Array(text.ids.length - 1).fill(2 * Math.LN2) };

  test('include the spelling of unknown tokens: each byte and an end', () => {
    expect(text.unknown).toEqual(['x', 'y', 'l', 'o', '🐋']);
    const found = measure(text, 36, [twoBits]);
    const spelling = (4 * 2 + 5) * SPELLING_BITS;
    expect(found).toMatchObject({ tokens: 36, unknown: 5, bytes: 40 });
    expect(found.natsPerToken).toBeCloseTo(2 * Math.LN2, 12);
    expect(found.perplexity).toBeCloseTo(4, 12);
    expect(found.bitsPerByte).toBeCloseTo((2 * 35 + spelling) / 39, 12);
    expect(found.bitsPerCharacter).toBeCloseTo((2 * 35 + spelling) / 35, 12);
    expect(found.spellingBitsPerByte).toBeCloseTo(spelling / 39, 12);
    expect(found.accuracyAt1).toBeUndefined();
  });

  test('never count <unk> as a correct guess', () => {
    const ranks = new Float64Array(35).fill(4);
    ranks[0] = 0;
    ranks[1] = 5;
    const found = measure(text, 36, [{ ...twoBits, ranks }]);
    expect(found.accuracyAt1).toBeCloseTo(1 / 35, 12);
    expect(found.accuracyAt5).toBeCloseTo(29 / 35, 12);
  });

  test('refuse a text that was only partly scored', () => {
    expect(() => measure(text, 36, [{ first: 1, nats: [1, 2] }])).toThrow('2 of 35');
  });

  test('parts of a text keep their unknown tokens', () => {
    expect(textOf(text)).toBe('abc cab é bca\nbaba xylo abc 🐋 aab ca');
    expect(textOf(partOfText(text, 16, 30))).toBe('ba xylo abc 🐋 ');
    expect(partOfText(text, 21, 30).unknown).toEqual(['l', 'o', '🐋']);
  });
});
