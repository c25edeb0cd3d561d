import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { chatFormOf } from '../../src/chat/chat-form.ts';
import { openCorpus } from '../../src/data/corpus.ts';
import { bitsPerByte } from '../../src/evaluate/bits-per-byte.ts';
import { measure } from '../../src/evaluate/measures.ts';
import { readTokenizedText } from '../../src/evaluate/tokenized-text.ts';
import { endOfTextToken, type TokenizerKind } from '../../src/tokenizer/tokenizer.ts';
import { readTrainingData } from '../../src/train/training-data.ts';

const folder = mkdtempSync(join(tmpdir(), 'bits-per-byte-'));

const texts = {
  whole: 'Où est la baleine? Là, là!\n'.repeat(3000), // longer than a piece that is read at once
  lines: 'the whale\nécrit\nthe sea\n'.repeat(40),
  chat: '{"messages":[{"role":"user","content":"Où?"},{"role":"assistant","content":"Là."}]}\n'.repeat(40),
} as const;

/** A text as a run reads it, and as `gpt eval` does. */
function readTwice(documents: keyof typeof texts, tokenizer: TokenizerKind) {
  const path = join(folder, `${documents}.txt`);
  writeFileSync(path, texts[documents]);
  const data = readTrainingData({ corpus: [path], documents, tokenizer, valFraction: 0, vocabSize: 300 });
  const separators = {
    endOfText: endOfTextToken(data.tokenizer),
    chat: () => chatFormOf(data.tokenizer, 'the model'),
  };
  return { data, text: readTokenizedText(openCorpus([path], { documents, ...separators }), data.tokenizer) };
}

test.each([
  ['whole', 'char'],
  ['whole', 'word'],
  ['whole', 'bpe'],
  ['lines', 'char'],
  ['lines', 'bpe'],
  ['chat', 'char'],
  ['chat', 'word'],
] as const)('%s text by %s: as from the losses of all tokens', (documents, kind) => {
  const { data, text } = readTwice(documents, kind);
  expect(Array.from(data.train.slice(0, data.train.length))).toEqual(Array.from(text.ids));
  const nats = Float64Array.from({ length: text.ids.length - 1 }, (_, i) => 1 + (i % 7) / 3);
  const measured = measure(text, 0, [{ first: 1, nats }]);
  const found = bitsPerByte(measured.natsPerToken, data.train, data.tokenizer, data.documentEnd);
  expect(found).toBeCloseTo(measured.bitsPerByte, 10);
});

test('an unknown token, whose length is not known, leaves it undefined, as does a single token', () => {
  const { data } = readTwice('whole', 'char');
  const ids = [1, 2, data.tokenizer.unkId!];
  const source = (length: number) => ({
    length,
    slice: (start: number, end: number) => ids.slice(start, end),
  });
  expect(bitsPerByte(1, source(3), data.tokenizer)).toBeUndefined();
  expect(bitsPerByte(1, source(2), data.tokenizer)).toBeCloseTo(1 / Math.LN2);
  expect(bitsPerByte(1, source(1), data.tokenizer)).toBeUndefined();
});
