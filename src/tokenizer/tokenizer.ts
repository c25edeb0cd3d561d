import { UserError } from '../errors.ts';

/** A token the vocabulary lacks, as it was met. */
export interface Unknown {
  readonly text: string;
  /** Where it starts in the text, in characters (Unicode code points) from 0. */
  readonly position: number;
}

/** Text to ids and back. Ids are 0 … vocabSize − 1. */
export interface Tokenizer {
  readonly kind: TokenizerKind;
  readonly vocabSize: number;
  /** The id of `<unk>`, which stands for everything the vocabulary lacks; undefined if it can write every text. */
  readonly unkId: number | undefined;
  readonly special: SpecialTokens;
  /** The text of each token: what `decode` makes of it alone. */
  readonly vocabulary: readonly string[];
  /** Starts to encode a text that comes in pieces. */
  encoder(onUnknown?: (unknown: Unknown) => void): Encoder;
  /**
   * The last place where a text may be cut so that both parts, each encoded by itself, have the ids of the whole, whatever
   * follows; 0 if none is found. It is looked for where lines end.
   */
  cut(text: string): number;
  /** The text of ids: their tokens, one behind the other. Bytes that form no character become U+FFFD. */
  decode(ids: Iterable<number>): string;
  /** Starts to decode ids that come one by one: a token may hold a part of a character. */
  decoder(): TokenDecoder;
  /** How many bytes of UTF-8 a token stands for. */
  byteLength(id: number): number;
  /** The content of tokenizer.json. */
  toJSON(): unknown;
}

/** Tokens with a meaning beyond their text, and where generation starts and ends. */
export interface SpecialTokens {
  /** Which token plays which role, under the names of tokenizer_config.json: `eos_token`, `pad_token`, … */
  readonly roles: Readonly<Record<string, string>>;
  /** Special tokens without a role. */
  readonly extra: readonly string[];
  /** Where generation starts if there is no prompt; undefined: at a line break. */
  readonly startId: number | undefined;
  /** Each of these ends a generated text. */
  readonly endIds: ReadonlySet<number>;
}

export type TokenizerKind = 'char' | 'word' | 'bpe';

/** Encodes one text, piece by piece; where it is cut makes no difference. After the end another text may follow. */
export interface Encoder {
  /** The ids that are certain so far. */
  push(text: string): Uint32Array;
  /** The rest. */
  end(): Uint32Array;
}

/** Decodes one sequence of ids, piece by piece; where it is cut makes no difference. */
export interface TokenDecoder {
  /** The whole characters there are so far. */
  push(ids: Iterable<number>): string;
  /** U+FFFD for a character that never got its other bytes; mostly nothing. */
  end(): string;
}

/** Collects a vocabulary from a text that comes in pieces. */
export interface VocabularyBuilder {
  push(text: string): void;
  /** @param learned called now and then, by those who learn merges, with the share of the work that is done */
  end(learned?: (done: number) => void): Tokenizer;
}

export interface VocabularyOptions {
  /** Leave out tokens that occur less often. */
  readonly minFrequency: number;
  /** At most so many tokens, special ones included; each kind has a limit of its own where none is given. */
  readonly maxSize?: number | undefined;
}

export const UNK = '<unk>';

/** All ids of a text that is at hand as a whole. */
export function encode(
  tokenizer: Tokenizer,
  text: string,
  onUnknown?: (unknown: Unknown) => void,
): Uint32Array {
  return encodeWhole(tokenizer.encoder(onUnknown), text);
}

/** The same with an encoder that may be used again: its buffers are there already. */
export function encodeWhole(encoder: Encoder, text: string): Uint32Array {
  const [start, rest] = [encoder.push(text), encoder.end()];
  if (rest.length === 0) return start;
  const ids = new Uint32Array(start.length + rest.length);
  ids.set(start);
  ids.set(rest, start.length);
  return ids;
}

/** Ids that a model never writes unless it is asked to: `<unk>`, and what `padded` added. */
export function bannedIds({ unkId, vocabulary }: Tokenizer): ReadonlySet<number> {
  const banned = new Set<number>();
  vocabulary.forEach((text, id) => (text === '' || id === unkId) && banned.add(id));
  return banned;
}

/** The tokenizer with ids that stand for nothing behind its own, up to `size` in all. */
export function padded(tokenizer: Tokenizer, size: number): Tokenizer {
  const spare = size - tokenizer.vocabSize;
  if (spare <= 0) return tokenizer;
  return {
    ...tokenizer,
    vocabSize: size,
    vocabulary: [...tokenizer.vocabulary, ...Array<string>(spare).fill('')],
  };
}

/** The tokenizer of a model whose texts are to continue past their ends. */
export const withoutEnds = (tokenizer: Tokenizer): Tokenizer => ({
  ...tokenizer,
  special: { ...tokenizer.special, endIds: new Set() },
});

/** What a vocabulary without `<unk>` has for text that it lacks. */
export const NO_ID = 0xffffffff;

/**
 * The ids but for `NO_ID`.
 *
 * @param onUnknown handles unknown text instead of the error
 * @throws UserError for unknown text without `onUnknown`
 */
export function knownIds(ids: Uint32Array, onUnknown: unknown): Uint32Array {
  if (!ids.includes(NO_ID)) return ids;
  if (onUnknown === undefined)
    throw new UserError(
      'not-in-vocabulary',
      'the text has characters or words that the vocabulary lacks, and there is no <unk>',
      {
        hint: 'use a text that the vocabulary covers',
      },
    );
  return ids.filter((id) => id !== NO_ID);
}

/** The half of a tokenizer that turns ids into text, for tokens that are whole characters. */
export function textOfTokens(
  vocabulary: readonly string[],
): Pick<Tokenizer, 'decode' | 'decoder' | 'byteLength'> {
  const decode = (ids: Iterable<number>): string => {
    let text = '';
    for (const id of ids) text += vocabulary[id] ?? '';
    return text;
  };
  return {
    decode,
    decoder: () => ({ push: decode, end: () => '' }),
    byteLength: (id) => Buffer.byteLength(vocabulary[id] ?? ''),
  };
}

/**
 * The vocabulary that counts give: what is frequent enough, at most `maxSize − 1` of it (ties go to the token that sorts
 * first), ordered by `order`, and `<unk>` behind it.
 *
 * @throws UserError if nothing is frequent enough
 */
export function selectVocabulary(
  counts: ReadonlyMap<string, number>,
  { minFrequency, maxSize = Infinity }: VocabularyOptions,
  order: 'code point' | 'frequency',
): string[] {
  const byText = (a: string, b: string): number => (a < b ? -1 : 1);
  let entries = [...counts].filter(([, count]) => count >= minFrequency);
  if (entries.length === 0 && counts.size > 0)
    throw new UserError(
      'unsuitable-tokenizer',
      `nothing in the text occurs ${minFrequency} times, as --min-frequency asks`,
      {
        hint: 'use a smaller --min-frequency or a longer text',
      },
    );
  entries.sort(([a, countA], [b, countB]) => countB - countA || byText(a, b));
  entries = entries.slice(0, Math.max(0, maxSize - 1));
  const tokens = entries.map(([token]) => token);
  if (order === 'code point') tokens.sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
  return [...tokens, UNK];
}
