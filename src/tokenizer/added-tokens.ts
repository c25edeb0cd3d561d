/** Added tokens in Hugging Face's sense: matched verbatim in a text before it is pre-tokenized. */
import { shownJson } from '../json.ts';
import { asObject, type Refuse } from './tokenizer-json.ts';

export interface AddedToken {
  readonly content: string;
  /** Undefined if a file gives only the text: the token keeps its id in the vocabulary or gets the next free one. */
  readonly id: unknown;
  /** `decode(…, skip_special_tokens=True)` omits special tokens. */
  readonly special: boolean;
  /**
   * Matched in a second pass, in the text between the other added tokens. (The name is from `tokenizers`, which normalizes
   * the text before that pass.) Where tokens overlap, the passes decide which is found.
   */
  readonly normalized: boolean;
  /** Matched only where no letter, digit or underscore is next to it. */
  readonly singleWord: boolean;
  /** White space before or after the token belongs to it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

/** How a token is matched and written. */
export type AddedFlags = Omit<AddedToken, 'content' | 'id'>;

/** Added tokens by id. */
export type AddedIds = ReadonlyMap<number, AddedFlags>;

/** Flags of a special token for which a file gives only the text. */
export const SPECIAL: AddedFlags = {
  special: true,
  normalized: false,
  singleWord: false,
  lstrip: false,
  rstrip: false,
};

/**
 * Reads an added token from JSON: a string, or an object with `content`.
 *
 * @param field name of the JSON field, for messages
 */
export function readAddedToken(value: unknown, field: string, fail: Refuse): Omit<AddedToken, 'id'> {
  if (typeof value === 'string') return readAddedToken({ content: value, special: true }, field, fail);
  const { content, special: flag, normalized, single_word, lstrip, rstrip } = asObject(value);
  const special = flag === true;
  if (typeof content !== 'string' || content === '' || !content.isWellFormed())
    return fail(`"${field}" has a token whose content is ${shownJson(content)}`);
  return {
    content,
    special,
    normalized: normalized === undefined ? !special : normalized === true,
    singleWord: single_word === true,
    lstrip: lstrip === true,
    rstrip: rstrip === true,
  };
}

/** The field `added_tokens` of tokenizer.json. */
export function readAddedTokens(list: unknown, fail: Refuse): AddedToken[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) return fail('"added_tokens" is not a list');
  return list.map((item: unknown) => ({
    ...readAddedToken(item, 'added_tokens', fail),
    id: asObject(item)['id'] ?? fail('"added_tokens" has a token without an id'),
  }));
}

/** The field `added_tokens` of tokenizer.json for these tokens, sorted by id. */
export const addedTokensJson = (tokens: readonly string[], added: AddedIds): unknown[] =>
  [...added]
    .sort(([a], [b]) => a - b)
    .map(([id, { special, normalized, singleWord, lstrip, rstrip }]) => ({
      id,
      content: tokens[id],
      single_word: singleWord,
      lstrip,
      rstrip,
      normalized,
      special,
    }));

/** The special ones among added tokens, as `specialTexts` and `specialIds` of a tokenizer. */
export function specialOf(
  tokens: readonly string[],
  added: AddedIds,
): { readonly specialTexts: readonly string[]; readonly specialIds: readonly number[] } {
  const specialIds = [...added].flatMap(([id, { special }]) => (special ? [id] : []));
  return { specialTexts: specialIds.map((id) => tokens[id]), specialIds };
}

/**
 * Adds tokens to a vocabulary by the rules of `transformers`: a token already in it keeps its id, a token without an id
 * gets the next.
 *
 * @param vocab token → id; extended in place
 */
export function addTokens(vocab: Map<string, unknown>, added: readonly AddedToken[], fail: Refuse): AddedIds {
  const ids = new Map<number, AddedFlags>();
  const withIdsFirst = [
    ...added.filter(({ id }) => id !== undefined),
    ...added.filter(({ id }) => id === undefined),
  ];
  for (const token of withIdsFirst) {
    const { content, id = vocab.get(content) ?? vocab.size, ...flags } = token;
    if (vocab.has(content) && vocab.get(content) !== id)
      fail(
        `${shownJson(content)} has the id ${shownJson(vocab.get(content))} in the vocabulary, but ${shownJson(id)} as an added token`,
      );
    vocab.set(content, id);
    const known = ids.get(id as number);
    const isNamed = token.id === undefined && known !== undefined; // its flags are those it was listed with
    ids.set(id as number, {
      ...(isNamed ? known : flags),
      special: token.special || known?.special === true,
    });
  }
  return ids;
}
