/** What the char and the word tokenizer share: special tokens around the ordinary encoding, and counting a vocabulary. */
import { idsByText } from './added-tokens.ts';
import { cutAround, encoderAround, specialTokenSplitter, type OrdinaryEncoder } from './special-tokens.ts';
import {
  selectVocabulary,
  textOfTokens,
  UNK,
  type Tokenizer,
  type TokenizerKind,
  type Unknown,
  type VocabularyBuilder,
  type VocabularyOptions,
} from './tokenizer.ts';
import { wordLevelJson, type WordLevelModel } from './word-level-json.ts';

type OnUnknown = (unknown: Unknown) => void;

export interface WordLevelKind {
  readonly kind: TokenizerKind;
  /** Of the pre-tokenizer in tokenizer.json. */
  readonly pattern: string;
  /** Starts to encode text between special tokens. */
  readonly ordinary: (onUnknown: OnUnknown | undefined) => OrdinaryEncoder;
}

export function wordLevelTokenizer(
  model: WordLevelModel,
  { kind, pattern, ordinary }: WordLevelKind,
): Tokenizer {
  const { tokens, unkId, added, special } = model;
  const ids = idsByText(tokens, added);
  return {
    kind,
    vocabSize: tokens.length,
    unkId,
    special,
    vocabulary: tokens,
    encoder: (onUnknown) => encoderAround(ordinary, { ids, unkId, onUnknown }),
    cut: cutAround(ids),
    ...textOfTokens(tokens),
    toJSON: () => wordLevelJson(model, pattern),
  };
}

/** Counts the tokens of a text that comes in pieces. */
export interface TokenCounter {
  /** @param final whether no token continues behind this piece */
  add(piece: string, final: boolean): void;
  /** How often each token has occurred. */
  counts(): ReadonlyMap<string, number>;
}

/** Builds a tokenizer from the counts of its text; a literal `<unk>` in the text is no ordinary token. */
export function wordLevelVocabulary(
  counter: TokenCounter,
  options: VocabularyOptions,
  order: 'code point' | 'frequency',
  create: (vocabulary: readonly string[]) => Tokenizer,
): VocabularyBuilder {
  const split = specialTokenSplitter([UNK]);
  const count = (piece: string, final: boolean): void => {
    for (const { text, special } of split(piece, final)) counter.add(text, final || special !== undefined);
  };
  return {
    push: (text) => count(text, false),
    end() {
      count('', true);
      return create(selectVocabulary(counter.counts(), options, order));
    },
  };
}
