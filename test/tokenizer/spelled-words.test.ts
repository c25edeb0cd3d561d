import { describe, expect, test } from 'vitest';
import { grown, missingTokens } from '../../src/tokenizer/grow.ts';
import { tokenizerFromJson } from '../../src/tokenizer/registry.ts';
import { encode, UNK, usualFrequency, type Tokenizer, type Unknown } from '../../src/tokenizer/tokenizer.ts';
import { wordVocabulary } from '../../src/tokenizer/word.ts';
import { failure } from '../fixtures/failure.ts';

function learn(corpus: string, limits = {}): Tokenizer {
  const builder = wordVocabulary({ minFrequency: 2, rareWords: 'spell', ...limits });
  builder.push(corpus);
  return builder.end();
}

const CORPUS = 'the whale, the sea 🐋 the whale';
const CHARACTERS = Array.from(' ,aehlstw🐋');
const tokenizer = learn(CORPUS);
const tokensOf = (text: string): string[] =>
  Array.from(encode(tokenizer, text), (id) => tokenizer.vocabulary[id]);

describe('a word tokenizer that spells', () => {
  test('has the frequent words by frequency, then all characters by code point, then <unk>', () => {
    expect(tokenizer.vocabulary).toEqual([' the', ' whale', ...CHARACTERS, UNK]);
  });

  test('spells rare words, with the space before them', () => {
    expect(tokensOf('the whale, the sea 🐋')).toEqual([
      ...['t', 'h', 'e', ' whale', ',', ' the', ' ', 's', 'e', 'a', ' ', '🐋'],
    ]);
  });

  test('spells words that the text lacks, and reports the position of unknown characters only', () => {
    const unknown: Unknown[] = [];
    const ids = encode(tokenizer, 'the 🐋 whales zap 🦑', (found) => unknown.push(found));
    expect(unknown).toEqual([
      { text: 'z', position: 13 },
      { text: 'p', position: 15 },
      { text: '🦑', position: 17 },
    ]);
    expect(tokenizer.decode(ids)).toBe('the 🐋 whales <unk>a<unk> <unk>');
  });

  test('is read as a spelling one, and its tokens may grow', () => {
    const again = tokenizerFromJson(JSON.stringify(tokenizer.toJSON()));
    expect(again).toMatchObject({ kind: 'word', spells: true, unkId: tokenizer.unkId });
    const text = 'a zebra, the 🦓 zebra';
    const missing = missingTokens(again, 1, (onUnknown) => encode(again, text, onUnknown));
    expect(missing).toEqual(['b', 'r', 'z', '🦓'].toSorted((a, b) => order(text, a, b)));
    const more = grown(again, { ordinary: missing });
    expect(more.decode(encode(more, text))).toBe(text);
    expect(encode(more, CORPUS)).toEqual(encode(tokenizer, CORPUS));
  });

  test('limits the number of words, and keeps every character', () => {
    expect(learn(CORPUS, { maxSize: 12 }).vocabulary).toEqual([' the', ...CHARACTERS, UNK]);
    expect(() => learn(CORPUS, { maxSize: 10 })).toThrow(failure('unsuitable-tokenizer', '10'));
  });

  test('has characters only, if no word is frequent enough', () => {
    expect(learn('abc', { minFrequency: 9 }).vocabulary).toEqual(['a', 'b', 'c', UNK]);
  });

  test('finds special tokens first, and never spells one from ordinary text', () => {
    const own = learn('say <|hi|> say <|hi|>! < | h', { specialTokens: ['<|hi|>'] });
    const text = 'say <|hi|><|h';
    const ids = encode(own, text);
    expect([...ids].filter((id) => own.vocabulary[id] === '<|hi|>')).toHaveLength(1);
    expect(own.decode(ids)).toBe(text);
  });
});

/** By the number of occurrences, then by text. */
const order = (text: string, a: string, b: string): number =>
  text.split(b).length - text.split(a).length || (a < b ? -1 : 1);

test('by default, words that occur once or twice are spelled', () => {
  expect([
    usualFrequency('word', 'spell'),
    usualFrequency('word', 'unk'),
    usualFrequency('char', 'spell'),
  ]).toEqual([3, 1, 1]);
});
