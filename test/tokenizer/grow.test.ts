import { describe, expect, test } from 'vitest';
import { textCorpus } from '../../src/data/text-corpus.ts';
import { buildVocabulary } from '../../src/data/tokenize.ts';
import { grown, missingTokens, tokenCount, withEndOfText } from '../../src/tokenizer/grow.ts';
import { tokenizerFromJson, tokenizerKinds, tokenizers } from '../../src/tokenizer/registry.ts';
import {
  encode,
  endOfTextToken,
  padded,
  type Tokenizer,
  type TokenizerKind,
} from '../../src/tokenizer/tokenizer.ts';

const text = 'how are you? fine, and you?\n'.repeat(5);
const build = (kind: TokenizerKind): Tokenizer =>
  buildVocabulary(textCorpus(text), tokenizers[kind].vocabulary({ minFrequency: 1 }));
const special = ['<|user|>', '<|bot|>'];

describe.each(tokenizerKinds)('a grown %s vocabulary', (kind) => {
  const before = build(kind);
  const after = grown(before, { special });

  test('keeps every id, and has the new tokens at its end', () => {
    expect(after.vocabulary).toEqual([...before.vocabulary, ...special]);
    expect([...encode(after, text)]).toEqual([...encode(before, text)]);
    expect(after).toMatchObject({ unkId: before.unkId, special: before.special });
  });

  test('finds new special tokens anywhere in a text', () => {
    const ids = [...encode(after, 'how<|bot|>are<|user|>')];
    expect(ids.filter((id) => id >= before.vocabSize).map((id) => after.vocabulary[id])).toEqual([
      '<|bot|>',
      '<|user|>',
    ]);
    expect(after.decode(ids)).toBe('how<|bot|>are<|user|>'.replace('are', kind === 'word' ? '<unk>' : 'are'));
  });

  test('is written and read again', () => {
    const again = tokenizerFromJson(after.source ?? JSON.stringify(after.toJSON()));
    expect(again.vocabulary).toEqual(after.vocabulary);
    expect([...encode(again, `<|bot|>${text}`)]).toEqual([...encode(after, `<|bot|>${text}`)]);
  });

  test('does not grow by what it has', () => {
    expect(grown(after, { special }).vocabulary).toEqual(after.vocabulary);
  });

  test('uses the spare ids of a padded one first', () => {
    const wide = padded(before, before.vocabSize + 3);
    const filled = grown(wide, { special });
    expect(filled.vocabSize).toBe(wide.vocabSize);
    expect(filled.vocabulary).toEqual([...before.vocabulary, ...special, '']);
    expect([tokenCount(wide), tokenCount(filled)]).toEqual([before.vocabSize, before.vocabSize + 2]);
    expect(grown(padded(before, before.vocabSize + 1), { special }).vocabSize).toBe(before.vocabSize + 2);
  });

  test('may begin and end texts', () => {
    const ended = withEndOfText(
      grown({ ...before, special: { ...before.special, roles: {}, endIds: new Set() } }, {}),
    );
    expect(endOfTextToken(ended)).toBe('<|endoftext|>');
    expect(ended.special.endIds).toEqual(new Set([ended.vocabulary.indexOf('<|endoftext|>')]));
  });
});

describe('tokens that a text has and a vocabulary lacks', () => {
  const missing = (tokenizer: Tokenizer, chunks: readonly string[], minFrequency: number): string[] =>
    missingTokens(tokenizer, minFrequency, (onUnknown) => {
      const encoder = tokenizer.encoder(onUnknown);
      for (const chunk of chunks) encoder.push(chunk);
      encoder.end();
    });

  test('are characters by code point, also where chunks divide them', () => {
    const chunks = ['how 😀ü', 'zü\ud83d', '\ude00<unk>'];
    expect(missing(build('char'), chunks, 1)).toEqual(['z', 'ü', '😀']);
    expect(missing(build('char'), chunks, 2)).toEqual(['ü', '😀']);
    expect(missing(build('char'), [text], 1)).toEqual([]);
  });

  test('are words by frequency, with the space before them', () => {
    const tokenizer = build('word');
    const words = missing(tokenizer, ['a new, a n', 'ew, an old one'], 1);
    expect(words[0]).toBe(' new');
    expect(words.toSorted()).toEqual([' a', ' an', ' new', ' old', ' one', 'a']);
    const more = grown(tokenizer, { ordinary: words });
    expect(more.decode(encode(more, 'a new one'))).toBe('a new one');
  });
});
