import { UsageError, UserError } from '../errors.ts';
import { optionName } from '../messages.ts';

/** Text that is not in the vocabulary. */
export interface Unknown {
  readonly text: string;
  /** Start in the text, in code points from 0. */
  readonly position: number;
}

/** Encodes text to ids 0 … vocabSize − 1 and decodes them. */
export interface Tokenizer {
  readonly kind: TokenizerKind;
  readonly vocabSize: number;
  /** Id of `<unk>`, which replaces unknown text; undefined if there is none. */
  readonly unkId: number | undefined;
  /** A word that is not in the vocabulary becomes its characters, so that only characters can be unknown. */
  readonly hasCharacterFallback?: boolean;
  /** Script of most of the text that a word tokenizer was built from, if it is one without spaces between words. */
  readonly unspacedScript?: string | undefined;
  readonly special: SpecialTokens;
  /** Special tokens as they are found in a text, where they have their ids. */
  readonly specialTexts: readonly string[];
  /** Their ids. */
  readonly specialIds: readonly number[];
  /** How the messages of a chat become text: a Jinja template; absent if the model does not chat. */
  readonly chatTemplate?: string | undefined;
  /** Text of each token within a longer text. */
  readonly vocabulary: readonly string[];
  /**
   * Starts encoding a text that arrives in chunks.
   *
   * @param onUnknown called for each unknown token
   * @param part if only part of a text is encoded
   */
  encoder(onUnknown?: (unknown: Unknown) => void, part?: TextPart): Encoder;
  /**
   * The last position at which a text can be split so that its halves, encoded as parts, yield the ids of the whole,
   * whatever text follows. Only line ends are considered; 0 if there is none.
   */
  cut(text: string): number;
  /** The text of a sequence of tokens. Invalid UTF-8 becomes U+FFFD. */
  decode(ids: Iterable<number>): string;
  /**
   * Starts decoding ids that arrive one by one; a token may hold part of a character.
   *
   * @param isContinued whether the ids continue a text; some tokenizers put a space before a text, which decoding removes
   */
  decoder(isContinued?: boolean): TokenDecoder;
  /** Length of a token in UTF-8 bytes. */
  byteLength(id: number): number;
  /** The content of tokenizer.json. */
  toJSON(): unknown;
  /** The "model" of tokenizer.json, the same however the file writes it; absent if `toJSON` writes it in one way only. */
  readonly modelJson?: (() => unknown) | undefined;
  /** The text of tokenizer.json, if it was read and is to be kept as it was. */
  readonly source?: string | undefined;
}

/** Which part of a text is encoded: tokens before a text are added to the first part only, those after it to the last. */
export interface TextPart {
  readonly isFirst: boolean;
  readonly isLast: boolean;
  /** Tokens that begin and end every text are not added: a chat template writes its own. */
  readonly isTemplated?: boolean;
  /**
   * An escape character, one UTF-16 unit, which is removed. An added token spelled out right after it, or with it inside,
   * is ordinary text.
   */
  readonly mark?: string;
  /** Receives the added tokens that are found in the text as it is, in order. */
  readonly onAdded?: (found: AddedPosition) => void;
}

/** A text without its marks. */
export const unmarked = (text: string, mark: string | undefined): string =>
  mark === undefined ? text : text.replaceAll(mark, '');

/** Where an added token is: in the text, in UTF-16 units with the marks and the white space before it, and in the ids. */
export interface AddedPosition {
  readonly at: number;
  readonly index: number;
}

/** Tokens with a role, and those that start and end generated text. */
export interface SpecialTokens {
  /** Token by role, named as in tokenizer_config.json: `eos_token`, `pad_token`, … */
  readonly roles: Readonly<Record<string, string>>;
  /** Special tokens without a role. */
  readonly extra: readonly string[];
  /** First token of generation without a prompt; undefined: a line break. */
  readonly startId: number | undefined;
  /** Tokens that end a generated text. */
  readonly endIds: ReadonlySet<number>;
}

export type TokenizerKind = 'char' | 'word' | 'bpe';

/** Encodes a text in chunks of any size. After `end`, another text may follow. */
export interface Encoder {
  /** Returns the ids that further text cannot change. */
  push(text: string): Uint32Array;
  /** Returns the remaining ids. */
  end(): Uint32Array;
}

/** Decodes a sequence of ids in chunks of any size. */
export interface TokenDecoder {
  /** Returns the characters that are complete. */
  push(ids: Iterable<number>): string;
  /** Returns U+FFFD for an incomplete character, else an empty string. */
  end(): string;
}

/** Builds a vocabulary from a text that arrives in chunks. */
export interface VocabularyBuilder {
  /** @param mark as in `TextPart`; the text then ends with a special token */
  push(text: string, mark?: string): void;
  /** @param learned progress of learning merges, 0 … 1; only called by BPE */
  end(learned?: (done: number) => void): Tokenizer;
}

export interface VocabularyOptions {
  /** Minimum number of occurrences of a token: by default 1, or chosen for the text if rare words are spelled. */
  readonly minFrequency?: number | undefined;
  /** Maximum number of tokens, including special ones; the default depends on the kind. */
  readonly maxSize?: number | undefined;
  /** Special tokens besides `<unk>` and `<|endoftext|>`. */
  readonly specialTokens?: readonly string[] | undefined;
  /** How a word tokenizer encodes words that are not in its vocabulary; `unk` by default. */
  readonly rareWords?: RareWords | undefined;
}

/** How words that are not in the vocabulary are encoded: in characters, or each as `<unk>`. */
export const rareWordChoices = ['spell', 'unk'] as const;
export type RareWords = (typeof rareWordChoices)[number];

export const UNK = '<unk>';
/** Ends a document, and precedes the first. */
export const END_OF_TEXT = '<|endoftext|>';

/** Encodes a whole text, or a part of one. */
export function encode(
  tokenizer: Tokenizer,
  text: string,
  onUnknown?: (unknown: Unknown) => void,
  part?: TextPart,
): Uint32Array {
  return encodeWhole(tokenizer.encoder(onUnknown, part), text);
}

/** Encodes a whole text, reusing the encoder's buffers. */
export function encodeWhole(encoder: Encoder, text: string): Uint32Array {
  const [start, rest] = [encoder.push(text), encoder.end()];
  if (rest.length === 0) return start;
  const ids = new Uint32Array(start.length + rest.length);
  ids.set(start);
  ids.set(rest, start.length);
  return ids;
}

/** The text of tokens that continue a text. */
export function decodeContinuation(tokenizer: Tokenizer, ids: Iterable<number>): string {
  const decoder = tokenizer.decoder(true);
  return decoder.push(ids) + decoder.end();
}

/** Ids that are not sampled by default: `<unk>`, and the padding of `padded`. */
export function bannedIds({ unkId, vocabulary }: Tokenizer): ReadonlySet<number> {
  const banned = new Set<number>();
  vocabulary.forEach((text, id) => (text === '' || id === unkId) && banned.add(id));
  return banned;
}

/** Pads the vocabulary to `size` ids; the extra ones decode to nothing. */
export function padded(tokenizer: Tokenizer, size: number): Tokenizer {
  const spare = size - tokenizer.vocabSize;
  if (spare <= 0) return tokenizer;
  return {
    ...tokenizer,
    vocabSize: size,
    vocabulary: [...tokenizer.vocabulary, ...Array<string>(spare).fill('')],
  };
}

/** A tokenizer without end tokens, for generation that continues past them. */
export const withoutEnds = (tokenizer: Tokenizer): Tokenizer => ({
  ...tokenizer,
  special: { ...tokenizer.special, endIds: new Set() },
});

/** Placeholder id of unknown text in a vocabulary without `<unk>`. */
export const NO_ID = 0xffffffff;

/**
 * Removes `NO_ID`.
 *
 * @param onUnknown callback that has received the unknown text; without one it is an error
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

/** Decoding for vocabularies whose tokens are whole characters. */
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

/** The token that ends a text; undefined if there is none. */
export function endOfTextId({ special, vocabulary, unkId }: Tokenizer): number | undefined {
  const { eos_token: end } = special.roles;
  const id = end === undefined ? -1 : vocabulary.indexOf(end);
  if (id >= 0 && id !== unkId) return id;
  const [first] = special.endIds;
  return first;
}

export function endOfTextToken(tokenizer: Tokenizer): string | undefined {
  const id = endOfTextId(tokenizer);
  return id === undefined ? undefined : tokenizer.vocabulary[id];
}

/** Tokens of a vocabulary that are not selected by frequency. */
interface FixedTokens {
  readonly special: readonly string[];
  /** Characters, in which words that are not selected are spelled. */
  readonly characters?: readonly string[] | undefined;
}

/**
 * Selects the tokens with at least `minFrequency` occurrences, at most `maxSize` with the others (ties go to the token that
 * sorts first), sorts them by `order`, and appends the fixed ones.
 *
 * @throws UserError if no token is frequent enough and there are no characters, or UsageError if there are too many
 */
export function selectVocabulary(
  counts: ReadonlyMap<string, number>,
  { minFrequency = 1, maxSize = Infinity }: VocabularyOptions,
  order: 'code point' | 'frequency',
  { special, characters = [] }: FixedTokens,
): string[] {
  const byText = (a: string, b: string): number => (a < b ? -1 : 1);
  let entries = [...counts].filter(([, count]) => count >= minFrequency);
  if (entries.length === 0 && counts.size > 0 && characters.length === 0)
    throw new UserError(
      'unsuitable-tokenizer',
      `no token occurs ${minFrequency} times in the text, which ${optionName('minFrequency')} requires`,
      {
        hint: `use a smaller ${optionName('minFrequency')} or a longer text`,
      },
    );
  const fixed = [...characters, ...special];
  if (characters.length > 0 && fixed.length > maxSize)
    throw new UsageError(
      'unsuitable-tokenizer',
      `a vocabulary of ${maxSize} cannot spell words: the text has ${characters.length} different characters`,
      {
        hint: `use ${optionName('vocabSize')} ${fixed.length} or more, or ${optionName('rareWords')} unk`,
      },
    );
  entries.sort(([a, countA], [b, countB]) => countB - countA || byText(a, b));
  entries = entries.slice(0, Math.max(0, maxSize - fixed.length));
  const tokens = entries.map(([token]) => token);
  if (order === 'code point') tokens.sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
  return [...tokens, ...fixed];
}
