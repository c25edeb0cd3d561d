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
}

/** Added tokens by id. */
export type AddedIds = ReadonlyMap<number, Pick<AddedToken, 'special' | 'normalized'>>;

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
  if (single_word || lstrip || rstrip)
    fail(`"${field}" has ${shownJson(content)} with single_word, lstrip or rstrip, which are not supported`);
  return { content, special, normalized: normalized === undefined ? !special : normalized === true };
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
    .map(([id, { special, normalized }]) => ({
      id,
      content: tokens[id],
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized,
      special,
    }));

/**
 * Adds tokens to a vocabulary by the rules of `transformers`: a token already in it keeps its id, a token without an id
 * gets the next.
 *
 * @param vocab token → id; extended in place
 */
export function addTokens(vocab: Map<string, unknown>, added: readonly AddedToken[], fail: Refuse): AddedIds {
  const ids = new Map<number, Pick<AddedToken, 'special' | 'normalized'>>();
  const withIdsFirst = [
    ...added.filter(({ id }) => id !== undefined),
    ...added.filter(({ id }) => id === undefined),
  ];
  for (const token of withIdsFirst) {
    const { content, id = vocab.get(content) ?? vocab.size } = token;
    if (vocab.has(content) && vocab.get(content) !== id)
      fail(
        `${shownJson(content)} has the id ${shownJson(vocab.get(content))} in the vocabulary, but ${shownJson(id)} as an added token`,
      );
    vocab.set(content, id);
    const known = ids.get(id as number);
    ids.set(id as number, {
      special: token.special || known?.special === true,
      normalized: token.id === undefined && known !== undefined ? known.normalized : token.normalized,
    });
  }
  return ids;
}

/** What `encoderAround` needs of added tokens. */
export const addedEncoding = (
  tokens: readonly string[],
  added: AddedIds,
): { readonly ids: ReadonlyMap<string, number>; readonly secondPass: ReadonlySet<string> } => ({
  ids: new Map(Array.from(added.keys(), (id) => [tokens[id], id])),
  secondPass: new Set([...added].filter(([, { normalized }]) => normalized).map(([id]) => tokens[id])),
});
