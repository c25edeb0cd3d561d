/** Growing the vocabulary of a starting model: with the user's special tokens, and with tokens that the text needs. */
import { withChatml } from '../chat/chat-form.ts';
import { isChatModel } from '../chat/chat-renderer.ts';
import { CHATML_TOKENS } from '../chat/chatml.ts';
import type { Corpus } from '../data/corpus.ts';
import { CHAT } from '../data/documents/format.ts';
import { tokenizeChats } from '../data/tokenize.ts';
import { UsageError } from '../errors.ts';
import { optionName } from '../messages.ts';
import type { NewRows } from '../model/new-rows.ts';
import { grown, missingTokens, tokenCount, withEndOfText } from '../tokenizer/grow.ts';
import { checkDistinct, specialTokenList } from '../tokenizer/special-token-list.ts';
import { END_OF_TEXT, endOfTextToken, type Tokenizer } from '../tokenizer/tokenizer.ts';
import type { TrainModelOptions } from './settings.ts';

/** The tokens that were added to a vocabulary. */
export interface Growth extends NewRows {
  /** Number of characters or words. */
  readonly ordinary: number;
  readonly special: readonly string[];
}

/** A starting model's tokenizer with the special tokens of the options. */
export function withOwnTokens(tokenizer: Tokenizer, { specialTokens }: TrainModelOptions): Tokenizer {
  if (specialTokens === undefined) return tokenizer;
  const { vocabulary, specialTexts } = tokenizer;
  const own = specialTokenList(specialTokens).filter((token) => !specialTexts.includes(token));
  checkDistinct([...vocabulary, ...own], vocabulary.length);
  return own.length === 0 ? tokenizer : grown(tokenizer, { special: own });
}

/** A tokenizer that can encode conversations: with `growVocab`, one without a template gets ChatML and its tokens. */
export const forChats = (tokenizer: Tokenizer, { growVocab }: TrainModelOptions): Tokenizer =>
  growVocab !== true || isChatModel(tokenizer)
    ? tokenizer
    : withChatml(grown(withEnd(tokenizer), { special: CHATML_TOKENS }));

const withEnd = (tokenizer: Tokenizer): Tokenizer =>
  endOfTextToken(tokenizer) === undefined ? withEndOfText(tokenizer) : tokenizer;

/** @param tokenizer one that has its own special tokens already */
export function grownForText(tokenizer: Tokenizer, corpus: Corpus, options: TrainModelOptions): Tokenizer {
  if (options.growVocab !== true) return tokenizer;
  const special =
    corpus.documents === CHAT
      ? forChats(tokenizer, options)
      : corpus.documents === 'whole' && (tokenizer.kind === 'bpe' || !hasEndOfText(corpus))
        ? tokenizer
        : withEnd(tokenizer);
  if (special.kind === 'bpe') return special;
  const ordinary = missingTokens(special, options.minFrequency ?? 1, (onUnknown) => {
    if (corpus.documents === CHAT) tokenizeChats(corpus, special, onUnknown);
    else {
      const encoder = special.encoder(onUnknown);
      for (const piece of corpus.text('collecting the vocabulary')) encoder.push(piece);
      encoder.end();
    }
  });
  return ordinary.length === 0 ? special : grown(special, { ordinary });
}

/** Whether a text has the literal token that divides it into documents. */
function hasEndOfText(corpus: Corpus): boolean {
  let isFound = false;
  let before = '';
  for (const piece of corpus.text('looking for documents')) {
    const text = before + piece;
    isFound ||= text.includes(END_OF_TEXT);
    before = text.slice(1 - END_OF_TEXT.length);
  }
  return isFound;
}

/**
 * The tokens added to a vocabulary; undefined if there are none.
 *
 * @throws UsageError if only adapters are trained, which leave new rows of the embedding as they are
 */
export function growthOf(
  before: Tokenizer,
  after: Tokenizer,
  options: TrainModelOptions,
): Growth | undefined {
  if (after === before) return undefined;
  const [first, end] = [tokenCount(before), tokenCount(after)];
  if (end === first) return undefined;
  const tokens = after.vocabulary.slice(first, end);
  const special = tokens.filter((token) => after.specialTexts.includes(token));
  if (options.loraRank !== undefined)
    throw new UsageError(
      'conflicting-options',
      `${optionName('loraRank')} leaves the embedding frozen, so ${end - first} new ${end - first === 1 ? 'token' : 'tokens'} would never be learned`,
      {
        hint: `train the whole model, without ${optionName('loraRank')}, or keep its vocabulary: omit ${optionName('growVocab')} and ${optionName('specialTokens')}`,
      },
    );
  return { first, end, ordinary: tokens.length - special.length, special };
}
