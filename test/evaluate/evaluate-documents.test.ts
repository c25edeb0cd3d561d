import { describe, expect, test } from 'vitest';
import type { ModelFolder } from '../../src/checkpoint/model-folder.ts';
import { documentsOf, evaluateDocuments } from '../../src/evaluate/evaluate-documents.ts';
import { openScorer } from '../../src/evaluate/evaluate-text.ts';
import { SPELLING_BITS } from '../../src/evaluate/measures.ts';
import type { TokenizedText } from '../../src/evaluate/tokenized-text.ts';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import { createCharTokenizer } from '../../src/tokenizer/char.ts';
import { encode, END_OF_TEXT } from '../../src/tokenizer/tokenizer.ts';
import { backends } from '../fixtures/backends.ts';
import { collect } from '../fixtures/collect.ts';
import { failure } from '../fixtures/failure.ts';
import { loadRandom } from '../fixtures/random-model.ts';

const tokenizer = createCharTokenizer(['\n', 'a', 'b', 'c', END_OF_TEXT, '<unk>']);
const endId = 4;
const config = { ...gpt2Defaults, vocabSize: 6, blockSize: 8, nLayer: 2, nHead: 2, nEmbd: 12, dropout: 0 };
const folder: ModelFolder = {
  folder: 'model',
  config,
  tokenizer,
  metadata: {},
  storageOf: () => 'f32',
  load: (targets) => loadRandom(config, targets),
  open: () => expect.unreachable('an evaluation loads all weights'),
};
const E = END_OF_TEXT;

function tokenized(text: string): TokenizedText {
  const unknown: string[] = [];
  const ids = encode(tokenizer, text, (found) => unknown.push(found.text));
  return { tokenizer, ids, unknown, endId };
}
const textsOf = (text: string): string[] =>
  [...documentsOf(tokenized(text))].map(({ ids }) => tokenizer.decode(ids).replaceAll(E, '|'));

describe('the documents of a text', () => {
  test.each<[name: string, text: string, documents: string[]]>([
    ['have the end token before and after them', `${E}ab${E}c${E}`, ['|ab|', '|c|']],
    ['need none before the first or after the last', `ab${E}c`, ['ab|', '|c']],
    ['are not empty', `${E}${E}a${E}${E}${E}`, ['|a|']],
    ['are one without end tokens', 'abc', ['abc']],
    ['may end with the text', `ab${E}`, ['ab|']],
    ['may begin the text with one token', `a${E}b${E}`, ['a|', '|b|']],
    ['may be a single token', 'a', ['a']],
    ['may have no token', '', ['']],
    ['are none in a lone end token', E, []],
  ])('%s', (_name, text, documents) => {
    expect(textsOf(text)).toEqual(documents);
  });

  test('keep the spellings of their unknown tokens', () => {
    const found = [...documentsOf(tokenized(`${E}axb${E}c${E}yaz${E}`))];
    expect(found.map(({ unknown }) => unknown)).toEqual([['x'], [], ['y', 'z']]);
  });
});

describe.each(['reference float32', 'wasm simd', 'wasm relaxed'])('on %s', (name) => {
  const text = tokenized(`${E}ab${E}c${E}abcabc\nabcxcabcab${E}a${E}bxb${E}cab${E}`);
  const documents = [...documentsOf(text)].map((document, i) => ({ text: document, number: i + 1 }));

  test.each([undefined, 3])('a document has the losses that it has alone, stride %s', async (stride) => {
    const options = stride === undefined ? {} : { stride };
    const device = await backends[name]();
    const found = await collect(evaluateDocuments(folder, device, documents, options));
    expect(found.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(found.map(({ bytes }) => bytes)).toEqual([2, 1, 17, 1, 3, 3]);
    for (const [i, document] of documents.entries()) {
      const { ids } = document.text;
      const scorer = openScorer(folder, await backends[name](), ids.length, options);
      const nats: number[] = [];
      for await (const chunk of scorer.scores(document.text)) nats.push(...Array.from(chunk.nats));
      expect(nats).toHaveLength(ids.length - 1);
      const sum = nats.reduce((total, x) => total + x, 0);
      expect(found[i].nats).toBe(sum);
      expect(found[i].bitsPerByte).toBeCloseTo(
        (sum / Math.LN2 + (i === 2 || i === 4 ? 2 * SPELLING_BITS : 0)) / found[i].bytes,
        10,
      );
    }
  });
});

test('a document keeps its number behind documents of a single token', async () => {
  const documents = ['a', 'ab', 'b', 'c', 'abc'].map((text, i) => ({ text: tokenized(text), number: i + 1 }));
  const found = await collect(evaluateDocuments(folder, await backends['wasm simd'](), documents));
  expect(found.map(({ number, bytes }) => [number, bytes])).toEqual([
    [2, 2],
    [5, 3],
  ]);
});

test('documents without a token to predict are refused', async () => {
  const device = await backends['wasm simd']();
  const documents = [{ text: tokenized('a'), number: 1 }];
  await expect(collect(evaluateDocuments(folder, device, documents))).rejects.toThrow(
    failure('text-too-short'),
  );
});
