/** The shared part of character and word tokenizers: special tokens around ordinary encoding, and vocabulary counts. */
import { specialOf } from './added-tokens.ts';
import { specialTokenSplitter } from './added-token-splitter.ts';
import { checkDistinct } from './special-token-list.ts';
import { cutAround, encoderAround, type OrdinaryStart } from './special-tokens.ts';
import {
  END_OF_TEXT,
  selectVocabulary,
  textOfTokens,
  UNK,
  unmarked,
  type Tokenizer,
  type TokenizerKind,
  type VocabularyBuilder,
  type VocabularyOptions,
} from './tokenizer.ts';
import { wordLevelJson, type WordLevelModel } from './word-level-json.ts';

export interface WordLevelKind {
  readonly kind: TokenizerKind;
  /** Pattern of the pre-tokenizer in tokenizer.json. */
  readonly pattern: string;
  readonly ordinary: OrdinaryStart;
}

export function wordLevelTokenizer(
  model: WordLevelModel,
  { kind, pattern, ordinary }: WordLevelKind,
): Tokenizer {
  const { tokens, unkId, added, special, hasCharacterFallback } = model;
  return {
    kind,
    vocabSize: tokens.length,
    unkId,
    hasCharacterFallback,
    special,
    ...specialOf(tokens, added),
    vocabulary: tokens,
    encoder: (onUnknown, part) => encoderAround(ordinary, { tokens, added, unkId, onUnknown, part }),
    cut: cutAround(tokens, added),
    ...textOfTokens(tokens),
    toJSON: () => wordLevelJson(model, pattern),
  };
}

/** Counts tokens of a text that arrives in chunks. */
export interface TokenCounter {
  /** @param final whether the last token of the piece is complete */
  add(piece: string, final: boolean): void;
  /** Occurrences by token. */
  counts(): ReadonlyMap<string, number>;
  /** Tokens of the vocabulary that are not counted, however rare: the characters that spell words. */
  characters?(): readonly string[];
  /** Minimum number of occurrences of a token, if it is not given; 1 by default. */
  minFrequency?(): number;
}

/**
 * Builds a tokenizer from the token counts of a text. Literal special tokens are not counted, unless a mark makes them ordinary
 * text; `<|endoftext|>` is in the vocabulary if the text has it.
 */
export function wordLevelVocabulary(
  counter: TokenCounter,
  options: VocabularyOptions,
  order: 'code point' | 'frequency',
  create: (vocabulary: readonly string[], special: readonly string[]) => Tokenizer,
): VocabularyBuilder {
  const { specialTokens = [] } = options;
  const split = specialTokenSplitter([...new Set([UNK, END_OF_TEXT, ...specialTokens])]);
  let hasEnds = false;
  const count = (piece: string, final: boolean, mark?: string): void => {
    for (const { text, special } of split(piece, final, mark)) {
      counter.add(unmarked(text, mark), final || special !== undefined);
      hasEnds ||= special === END_OF_TEXT;
    }
  };
  return {
    push: (text, mark) => count(text, false, mark),
    end() {
      count('', true);
      const special = [...specialTokens, ...(hasEnds ? [END_OF_TEXT] : []), UNK];
      const { minFrequency = counter.minFrequency?.() } = options;
      const fixed = { special, characters: counter.characters?.() };
      const vocabulary = selectVocabulary(counter.counts(), { ...options, minFrequency }, order, fixed);
      checkDistinct(vocabulary, vocabulary.length - special.length);
      return create(vocabulary, special);
    },
  };
}
