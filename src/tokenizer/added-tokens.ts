/**
 * Added tokens, as Hugging Face's libraries call them: each is matched verbatim in a text before it is cut into
 * pieces.
 */
import { shownJson } from '../json.ts';
import { asObject, type Refuse } from './tokenizer-json.ts';

export interface AddedToken {
  readonly content: string;
  /** Undefined where a file only names the token: then its id in the vocabulary, or else the next free one. */
  readonly id: unknown;
  /** Special tokens are no text to a reader: `decode(…, skip_special_tokens=True)` leaves them out. */
  readonly special: boolean;
}

/** How the token of an id is described. */
export type AddedIds = ReadonlyMap<number, { readonly special: boolean }>;

/**
 * An added token as JSON has it: its text alone, or an object with its `content`.
 *
 * @param field of the JSON file, for messages
 */
export function readAddedToken(value: unknown, field: string, fail: Refuse): Omit<AddedToken, 'id'> {
  if (typeof value === 'string') return readAddedToken({ content: value, special: true }, field, fail);
  const { content, special, single_word, lstrip, rstrip } = asObject(value);
  if (typeof content !== 'string' || content === '' || !content.isWellFormed())
    return fail(`"${field}" has a token whose content is ${shownJson(content)}`);
  if (single_word || lstrip || rstrip)
    fail(`"${field}" has ${shownJson(content)} with single_word, lstrip or rstrip, which are not supported`);
  return { content, special: special === true };
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

/** The same field of a tokenizer with these tokens, in the order of ids. */
export const addedTokensJson = (tokens: readonly string[], added: AddedIds): unknown[] =>
  [...added]
    .sort(([a], [b]) => a - b)
    .map(([id, { special }]) => ({
      id,
      content: tokens[id],
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special,
    }));

/**
 * Adds tokens to a vocabulary as transformers does: one that the vocabulary has keeps its id, one without an id gets the next.
 *
 * @param vocab tokens and their ids; extended
 */
export function addTokens(vocab: Map<string, unknown>, added: readonly AddedToken[], fail: Refuse): AddedIds {
  const ids = new Map<number, { special: boolean }>();
  const withIdsFirst = [
    ...added.filter(({ id }) => id !== undefined),
    ...added.filter(({ id }) => id === undefined),
  ];
  for (const { content, id = vocab.get(content) ?? vocab.size, special } of withIdsFirst) {
    if (vocab.has(content) && vocab.get(content) !== id)
      fail(
        `${shownJson(content)} has the id ${shownJson(vocab.get(content))}, as an added token ${shownJson(id)}`,
      );
    vocab.set(content, id);
    ids.set(id as number, { special: special || ids.get(id as number)?.special === true });
  }
  return ids;
}

/** The ids of added tokens by their text, for `encoderAround`. */
export const idsByText = (tokens: readonly string[], added: AddedIds): ReadonlyMap<string, number> =>
  new Map(Array.from(added.keys(), (id) => [tokens[id], id]));
