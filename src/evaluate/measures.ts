/** Aggregates the losses of tokens into measures that compare models and tokenizers. */
import { countCharacters } from '../data/corpus.ts';
import { UserError } from '../errors.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { predictedPart, textOf, partOfText, type TokenizedText } from './tokenized-text.ts';

/** Scores of consecutive tokens of a text. */
export interface TokenScores {
  /** Index of the first of these tokens in the text. */
  readonly first: number;
  /** −ln p(token | the tokens before it). */
  readonly nats: ArrayLike<number>;
  /** Number of tokens with a higher probability; undefined if unknown. */
  readonly ranks?: ArrayLike<number>;
}

export interface Measures {
  readonly tokens: number;
  /** Tokens whose loss counts: all but the first, or those that the assistant writes in conversations. */
  readonly counted: number;
  /** Of the text, and thus independent of the tokenizer. */
  readonly characters: number;
  /** In UTF-8. */
  readonly bytes: number;
  /** Number of tokens that are `<unk>`. */
  readonly unknown: number;
  /** Mean loss. An unknown token counts as predicting `<unk>`. */
  readonly natsPerToken: number;
  /** exp(natsPerToken): the number of equally likely tokens that would be as hard to predict. */
  readonly perplexity: number;
  /** Share of tokens that were the model's first guess, or among its first five; `<unk>` is never correct. */
  readonly accuracyAt1: number | undefined;
  readonly accuracyAt5: number | undefined;
  /** These two include the spelling of unknown tokens (SPELLING_BITS), so they compare any two models. */
  readonly bitsPerCharacter: number;
  readonly bitsPerByte: number;
  /** The part of bitsPerByte due to spelling unknown tokens. */
  readonly spellingBitsPerByte: number;
}

/**
 * Cost of each byte of an unknown token, and of its end. `<unk>` does not say which text it replaces, so a model that calls
 * everything unknown would appear to predict well. For bits per byte to be the length of a decodable code, an unknown token
 * costs `<unk>` plus its spelling in the simplest code: its bytes and an end mark, as 257 equally likely symbols.
 */
export const SPELLING_BITS = Math.log2(257);

/**
 * Aggregates the scores of a text. Every token except the first must be scored once, in order.
 *
 * @param characters length of the text in code points
 */
export function measure(text: TokenizedText, characters: number, scores: Iterable<TokenScores>): Measures {
  const sum = new Measurement(text);
  for (const piece of scores) sum.add(piece);
  return sum.measures(characters);
}

/** The same for scores that are computed on a device. */
export async function measureScored(
  text: TokenizedText,
  characters: number,
  scores: AsyncIterable<TokenScores>,
): Promise<Measures> {
  const sum = new Measurement(text);
  for await (const piece of scores) sum.add(piece);
  return sum.measures(characters);
}

class Measurement {
  readonly #text: TokenizedText;
  #nats = 0;
  #scored = 0;
  #counted = 0;
  #hasRanks = true;
  /** Tokens that were the first guess, or among the first five. */
  #first = 0;
  #five = 0;

  constructor(text: TokenizedText) {
    this.#text = text;
  }

  add({ first, nats, ranks }: TokenScores): void {
    const { ids, tokenizer, counted } = this.#text;
    this.#scored += nats.length;
    this.#hasRanks &&= ranks !== undefined;
    for (let i = 0; i < nats.length; i++) {
      if (counted?.[first + i] === 0) continue;
      this.#counted++;
      this.#nats += nats[i];
      if (ranks === undefined || ids[first + i] === tokenizer.unkId) continue;
      if (ranks[i] < 1) this.#first++;
      if (ranks[i] < 5) this.#five++;
    }
  }

  measures(characters: number): Measures {
    const text = this.#text;
    const { ids } = text;
    const scored = this.#scored;
    if (scored !== ids.length - 1) throw new Error(`${scored} of ${ids.length - 1} tokens were scored`);
    const counted = this.#counted;
    if (counted === 0)
      throw new UserError(
        'text-too-short',
        'no token counts in the loss: the text has no assistant message',
        {
          hint: 'use a text with at least one assistant message',
        },
      );
    const predicted = predictedPart(text);
    const spelling = spellingBits(predicted);
    const bits = this.#nats / Math.LN2 + spelling;
    return {
      tokens: ids.length,
      counted,
      characters,
      bytes: countBytes(text),
      unknown: text.unknown.length,
      natsPerToken: this.#nats / counted,
      perplexity: Math.exp(this.#nats / counted),
      accuracyAt1: this.#hasRanks ? this.#first / counted : undefined,
      accuracyAt5: this.#hasRanks ? this.#five / counted : undefined,
      bitsPerCharacter: bits / this.#predictedCharacters(predicted, characters),
      bitsPerByte: bits / countBytes(predicted),
      spellingBitsPerByte: spelling / countBytes(predicted),
    };
  }

  #predictedCharacters(predicted: TokenizedText, characters: number): number {
    const text = this.#text;
    if (text.counted !== undefined) return countCharacters(textOf(predicted));
    return characters - countCharacters(textOf(partOfText(text, 0, 1)));
  }
}

/** Length in UTF-8 of each token's text, by id. `<unk>` and the end of a document stand for none of their own. */
export const byteLengths = (tokenizer: Tokenizer, endId: number | undefined): Uint32Array =>
  Uint32Array.from({ length: tokenizer.vocabSize }, (_, id) =>
    id === tokenizer.unkId || id === endId ? 0 : tokenizer.byteLength(id),
  );

function countBytes({ ids, tokenizer, unknown, endId }: TokenizedText): number {
  const lengths = byteLengths(tokenizer, endId);
  let bytes = 0;
  for (const id of ids) bytes += lengths[id];
  for (const spelling of unknown) bytes += Buffer.byteLength(spelling);
  return bytes;
}

/** Total for all unknown tokens. */
function spellingBits({ unknown }: TokenizedText): number {
  let bits = 0;
  for (const spelling of unknown) bits += (Buffer.byteLength(spelling) + 1) * SPELLING_BITS;
  return bits;
}
