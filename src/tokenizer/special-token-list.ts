/** Special tokens chosen by the user: the value of `--special-tokens`. */
import { UsageError } from '../errors.ts';
import { shownJson } from '../json.ts';
import type { OptionType } from '../values.ts';
import { END_OF_TEXT, UNK } from './tokenizer.ts';

export const specialTokensValue: OptionType<string> = {
  expected: `different texts of at least two characters, separated by commas; other than ${UNK} and ${END_OF_TEXT}, which every tokenizer knows`,
  is: (value) => typeof value === 'string' && tokensOf(value) !== undefined,
  read: (text) => (tokensOf(text) === undefined ? undefined : text),
};

function tokensOf(value: string): string[] | undefined {
  const tokens = value.split(',');
  // A char vocabulary already has a token for a single character, and bpe for a single byte.
  const isToken = (token: string): boolean =>
    Array.from(token).length > 1 && token === token.trim() && token.isWellFormed() && !token.includes('\0');
  const isOwn = (token: string): boolean => token !== UNK && token !== END_OF_TEXT;
  const isNew = new Set(tokens).size === tokens.length;
  return isNew && tokens.every((token) => isToken(token) && isOwn(token)) ? tokens : undefined;
}

/** @param value accepted by `specialTokensValue`; undefined: none */
export function specialTokenList(value: string | undefined): readonly string[] {
  if (value === undefined) return [];
  const tokens = tokensOf(value);
  if (tokens === undefined) throw new Error(`not a list of special tokens: ${value}`);
  return tokens;
}

/**
 * Checks that special tokens differ from the tokens that occur in a text or are learned from it.
 *
 * @param from index of the first special token
 * @throws UsageError that names one that does not
 */
export function checkDistinct(all: readonly string[], from: number): void {
  const learned = new Set(all.slice(0, from));
  const twice = all.slice(from).find((token) => learned.has(token));
  if (twice === undefined) return;
  throw new UsageError('bad-option-value', `${shownJson(twice)} is already a token of the vocabulary`, {
    hint: 'choose another text for the special token, such as <|name|>',
  });
}
