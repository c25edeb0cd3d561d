import { describe, expect, test } from 'vitest';
import { grown, missingTokens } from '../../src/tokenizer/grow.ts';
import { tokenizerFromJson } from '../../src/tokenizer/registry.ts';
import { encode, UNK, type Tokenizer, type Unknown } from '../../src/tokenizer/tokenizer.ts';
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
    expect(tokensOf('the whale, the sea 🐋').join('|')).toBe('t|h|e| whale|,| the| |s|e|a| |🐋');
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
    expect(again).toMatchObject({ kind: 'word', hasCharacterFallback: true, unkId: tokenizer.unkId });
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
    expect(learn('a').vocabulary).toEqual(['a', UNK]);
    expect(learn('').vocabulary).toEqual([UNK]);
    expect(learn('<|endoftext|>').vocabulary).toEqual(['<|endoftext|>', UNK]);
  });

  test('is recognized in files of other programs, which may write an empty prefix', () => {
    const json = tokenizer.toJSON() as { model: object };
    Object.assign(json.model, { continuing_subword_prefix: '', end_of_word_suffix: '', dropout: undefined });
    expect(tokenizerFromJson(JSON.stringify(json)).kind).toBe('word');
    Object.assign(json.model, { ignore_merges: false });
    expect(tokenizerFromJson(JSON.stringify(json)).kind).toBe('bpe');
  });

  test('finds special tokens first, and never spells one from ordinary text', () => {
    const own = learn('say HI say HI! H I', { specialTokens: ['HI'] });
    const special = own.vocabulary.indexOf('HI');
    const part = { isFirst: true, isLast: true, mark: '\u0001' };
    const ids = encode(own, 'say HI \u0001HI', undefined, part);
    expect([...ids].filter((id) => id === special)).toHaveLength(1);
    expect(own.decode(ids)).toBe('say HI HI');
  });
});

/** By the number of occurrences, then by text. */
const order = (text: string, a: string, b: string): number =>
  text.split(b).length - text.split(a).length || (a < b ? -1 : 1);

test('by default, words must occur three times, in a long text once in 375,000 characters', () => {
  const text = `${'a '.repeat(200)}once twice twice three three three`;
  expect(learn(text, { minFrequency: undefined }).vocabulary.slice(0, 3)).toEqual([' a', ' three', ' ']);
  const long = `${text}${' '.repeat(1_311_900)}${' four'.repeat(4)}`;
  expect(learn(long, { minFrequency: undefined }).vocabulary.slice(0, 3)).toEqual([' a', ' four', ' three']);
  expect(learn(`${long} 401`.padEnd(1_312_501), { minFrequency: undefined }).vocabulary.slice(0, 3)).toEqual([
    ' a',
    ' four',
    ' ',
  ]);
  expect(learn(text, { minFrequency: undefined, rareWords: 'unk' }).vocabulary).toContain(' once');
});
