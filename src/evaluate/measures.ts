/** From what each token costs to the measures by which models, and tokenizers, are compared. */
import { textOf, partOfText, type TokenizedText } from './tokenized-text.ts';

/** What tokens of a text cost a model. */
export interface TokenScores {
  /** Where in the text the first of them stands, in tokens. */
  readonly first: number;
  /** −ln of the probability that each had, given those before it. */
  readonly nats: ArrayLike<number>;
  /** How many tokens the model thought likelier than each. Absent where that is not known. */
  readonly ranks?: ArrayLike<number>;
}

export interface Measures {
  readonly tokens: number;
  /** Of the text, and so comparable whatever the tokenizer. */
  readonly characters: number;
  /** In UTF-8. */
  readonly bytes: number;
  /** How many tokens are `<unk>`. */
  readonly unknown: number;
  /** Mean cost of a token given those before it; for a text that the model lacks, of saying `<unk>` and no more. */
  readonly natsPerToken: number;
  /** e to that: as if the model had to choose among so many equally likely tokens. */
  readonly perplexity: number;
  /** How often the token was the model's first guess, and among its first five; `<unk>` is never a right guess. */
  readonly accuracyAt1: number | undefined;
  readonly accuracyAt5: number | undefined;
  /** These two pay for the spelling of unknown tokens too, see SPELLING_BITS: comparable between any two models. */
  readonly bitsPerCharacter: number;
  readonly bitsPerByte: number;
  /** The part of bitsPerByte that the spelling of unknown tokens takes. */
  readonly spellingBitsPerByte: number;
}

/**
 * `<unk>` does not say which text it stands for, so a model that calls everything unknown would seem to predict well. To
 * make bits per byte the length of a code from which the text can be read back, an unknown token is charged `<unk>` and
 * then its spelling, by the plainest code there is: each of its bytes and an end, one of 257 equally likely signs.
 */
export const SPELLING_BITS = Math.log2(257);

/**
 * Sums up what a text costs. Every token but the first, which has no context, must be scored once, in order.
 *
 * @param characters of the text, in Unicode code points
 */
export function measure(text: TokenizedText, characters: number, scores: Iterable<TokenScores>): Measures {
  const { ids, tokenizer } = text;
  let nats = 0;
  let scored = 0;
  const right = { first: 0, five: 0, known: true };
  for (const piece of scores) {
    scored += piece.nats.length;
    right.known &&= piece.ranks !== undefined;
    for (let i = 0; i < piece.nats.length; i++) {
      nats += piece.nats[i];
      if (piece.ranks === undefined || ids[piece.first + i] === tokenizer.unkId) continue;
      if (piece.ranks[i] < 1) right.first++;
      if (piece.ranks[i] < 5) right.five++;
    }
  }
  if (scored !== ids.length - 1) throw new Error(`${scored} of ${ids.length - 1} tokens were scored`);
  const bytes = countBytes(text);
  const first = partOfText(text, 0, 1);
  const predictedBytes = bytes - countBytes(first);
  const spelling = spellingBits(text);
  const bits = nats / Math.LN2 + spelling;
  return {
    tokens: ids.length,
    characters,
    bytes,
    unknown: text.unknown.length,
    natsPerToken: nats / scored,
    perplexity: Math.exp(nats / scored),
    accuracyAt1: right.known ? right.first / scored : undefined,
    accuracyAt5: right.known ? right.five / scored : undefined,
    bitsPerCharacter: bits / (characters - Array.from(textOf(first)).length),
    bitsPerByte: bits / predictedBytes,
    spellingBitsPerByte: spelling / predictedBytes,
  };
}

function countBytes({ ids, tokenizer, unknown }: TokenizedText): number {
  const lengths = Uint32Array.from({ length: tokenizer.vocabSize }, (_, id) =>
    id === tokenizer.unkId ? 0 : tokenizer.byteLength(id),
  );
  let bytes = 0;
  for (const id of ids) bytes += lengths[id];
  for (const spelling of unknown) bytes += Buffer.byteLength(spelling);
  return bytes;
}

/** Of the unknown tokens, but for a first one, which is not predicted. */
function spellingBits({ ids, tokenizer, unknown }: TokenizedText): number {
  let bits = 0;
  for (const spelling of unknown.slice(ids[0] === tokenizer.unkId ? 1 : 0))
    bits += (Buffer.byteLength(spelling) + 1) * SPELLING_BITS;
  return bits;
}
