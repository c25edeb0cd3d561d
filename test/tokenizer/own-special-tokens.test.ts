import { describe, expect, test } from 'vitest';
import { textCorpus } from '../../src/data/text-corpus.ts';
import { buildVocabulary } from '../../src/data/tokenize.ts';
import { tokenizerFromJson, tokenizerKinds, tokenizers } from '../../src/tokenizer/registry.ts';
import { specialTokenList, specialTokensValue } from '../../src/tokenizer/special-token-list.ts';
import { encode } from '../../src/tokenizer/tokenizer.ts';
import { failure } from '../fixtures/failure.ts';

const own = ['<|user|>', '<|bot|>', '\n--'];
const text = '<|user|>how are you<|bot|> fine, and you? \n--'.repeat(3);

describe.each(tokenizerKinds)('special tokens of a %s vocabulary', (kind) => {
  const build = (specialTokens: readonly string[], of = text) =>
    buildVocabulary(textCorpus(of), tokenizers[kind].vocabulary({ minFrequency: 1, specialTokens }));

  test('are one token each, wherever they are', () => {
    const tokenizer = build(own);
    for (const around of [(token: string) => token, (token: string) => `how${token}how`]) {
      for (const token of own) {
        const ids = [...encode(tokenizer, around(token))];
        expect(ids.filter((id) => tokenizer.vocabulary[id] === token)).toHaveLength(1);
        expect(tokenizer.decode(ids)).toBe(around(token));
      }
    }
    expect(tokenizer.vocabulary.filter((token) => own.includes(token))).toHaveLength(own.length);
  });

  test('are in the vocabulary without being in the text, and in no other token', () => {
    const { vocabulary } = build(['<|system|>'], 'abc <|system| abc');
    expect(vocabulary.filter((token) => token.includes('<|system|>'))).toEqual(['<|system|>']);
  });

  test('are saved as special added tokens, and read again', () => {
    const tokenizer = build(own);
    const json = tokenizer.toJSON() as {
      readonly added_tokens: readonly { readonly content: string; readonly special: boolean }[];
    };
    for (const content of own)
      expect(json.added_tokens).toContainEqual(expect.objectContaining({ content, special: true }));
    const again = tokenizerFromJson(JSON.stringify(json));
    expect([...encode(again, text)]).toEqual([...encode(tokenizer, text)]);
  });
});

test('a bpe vocabulary refuses one that it learns anyway', () => {
  const builder = tokenizers.bpe.vocabulary({ minFrequency: 1, specialTokens: ['Ġa'] });
  expect(() => buildVocabulary(textCorpus('b a b a'), builder)).toThrow(failure('bad-option-value', 'Ġa'));
});

test.each(['', 'a', '<|a|>,', '<|a|>,<|a|>', '<unk>', '<|endoftext|>,<|a|>', ' <|a|>', 'a\0b', '\ud800x'])(
  '%j is no list of special tokens',
  (value) => {
    expect(specialTokensValue.read(value)).toBeUndefined();
    expect(specialTokensValue.is(value)).toBe(false);
  },
);

test('a list is separated by commas', () => {
  expect(specialTokenList('<|a|>,[b c],🐋🐋')).toEqual(['<|a|>', '[b c]', '🐋🐋']);
  expect(specialTokenList(undefined)).toEqual([]);
});
