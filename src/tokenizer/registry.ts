import { charVocabulary, createCharTokenizer } from './char.ts';
import { parseTokenizerJson } from './tokenizer-json.ts';
import type { Tokenizer, TokenizerKind, VocabularyBuilder, VocabularyOptions } from './tokenizer.ts';
import { createWordTokenizer, wordVocabulary } from './word.ts';

interface TokenizerEntry {
  readonly create: (vocabulary: readonly string[]) => Tokenizer;
  readonly vocabulary: (options: VocabularyOptions) => VocabularyBuilder;
}

/** Every kind of tokenizer: how one is made from a vocabulary, and a vocabulary from text. */
export const tokenizers: { readonly [K in TokenizerKind]: TokenizerEntry } = {
  char: { create: createCharTokenizer, vocabulary: charVocabulary },
  word: { create: createWordTokenizer, vocabulary: wordVocabulary },
};
export const tokenizerKinds = Object.keys(tokenizers) as TokenizerKind[];

/** @throws UserError if the content of a tokenizer.json cannot be used */
export function tokenizerFromJson(text: string, file = 'tokenizer.json'): Tokenizer {
  const { kind, vocabulary } = parseTokenizerJson(text, file);
  return tokenizers[kind].create(vocabulary);
}
