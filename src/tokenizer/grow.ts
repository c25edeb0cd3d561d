/** Adds tokens to the vocabulary of a trained model. No existing id changes. */
import { tokenizerFromJson } from './registry.ts';
import { asObject, type JsonObject } from './tokenizer-json.ts';
import { noSettings } from './tokenizer-settings.ts';
import { END_OF_TEXT, padded, selectVocabulary, type Tokenizer, type Unknown } from './tokenizer.ts';

export interface NewTokens {
  /** Characters or, without character fallback, words. BPE vocabularies have none to add. */
  readonly ordinary?: readonly string[];
  /** None of them may be an ordinary token of the vocabulary. */
  readonly special?: readonly string[];
}

/** The parts of tokenizer.json that growing changes. */
interface TokenizerFile {
  readonly json: JsonObject;
  readonly model: JsonObject;
  readonly vocab: JsonObject;
  readonly added: readonly JsonObject[];
}

function fileOf(tokenizer: Tokenizer): TokenizerFile {
  const json = asObject(tokenizer.toJSON());
  const model = asObject(json['model']);
  const listed = json['added_tokens'];
  const added = Array.isArray(listed) ? listed.map((token) => asObject(token)) : [];
  return { json, model, vocab: asObject(model['vocab']), added };
}

const nextId = ({ vocab, added }: Pick<TokenizerFile, 'vocab' | 'added'>): number =>
  [...Object.values(vocab), ...added.map(({ id }) => id)].reduce<number>(
    (next, id) => Math.max(next, Number(id) + 1),
    0,
  );

/** Number of tokens, without the padding of `padded`. */
export const tokenCount = (tokenizer: Tokenizer): number => nextId(fileOf(tokenizer));

/**
 * A tokenizer with more tokens, which get the ids after its last one. In a padded vocabulary these ids are spare rows of
 * the embedding, so only tokens beyond them enlarge it.
 */
export function grown(tokenizer: Tokenizer, { ordinary = [], special = [] }: NewTokens): Tokenizer {
  const file = fileOf(tokenizer);
  const known = new Map(Object.entries(file.vocab));
  for (const { content, id } of file.added) known.set(String(content), id);
  let next = nextId(file);
  const idOf = (token: string): unknown => known.get(token) ?? next++;
  const specialIds = new Map(special.map((token) => [token, idOf(token)]));
  const added = [
    ...file.added.map((token) =>
      specialIds.has(String(token['content'])) ? { ...token, special: true } : token,
    ),
    ...[...specialIds]
      .filter(([content]) => !file.added.some((token) => token['content'] === content))
      .map(([content, id]) => addedToken(content, id)),
  ].toSorted((a, b) => Number(a['id']) - Number(b['id']));
  // Character and word vocabularies list their special tokens in both places.
  const inModel =
    tokenizer.kind === 'bpe' ? [] : [...specialIds, ...ordinary.map((token) => [token, idOf(token)])];
  const vocab = { ...file.vocab, ...(Object.fromEntries(inModel) as JsonObject) };
  const json = { ...file.json, added_tokens: added, model: { ...file.model, vocab } };
  const text = `${JSON.stringify(json, undefined, 2)}\n`;
  const read = tokenizerFromJson(text, 'tokenizer.json', { ...noSettings, defaultToken: undefined });
  const { special: roles, chatTemplate, vocabSize } = tokenizer;
  return padded({ ...read, special: roles, ...(chatTemplate !== undefined && { chatTemplate }) }, vocabSize);
}

const addedToken = (content: string, id: unknown): JsonObject => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: true,
});

/** The tokenizer with `<|endoftext|>`, which begins and ends texts. */
export function withEndOfText(tokenizer: Tokenizer): Tokenizer {
  const more = grown(tokenizer, { special: [END_OF_TEXT] });
  const id = more.vocabulary.indexOf(END_OF_TEXT);
  const { special } = more;
  return {
    ...more,
    special: {
      ...special,
      roles: { bos_token: END_OF_TEXT, ...special.roles, eos_token: END_OF_TEXT },
      startId: special.startId ?? id,
      endIds: new Set([...special.endIds, id]),
    },
  };
}

/**
 * The characters, or words without character fallback, that the vocabulary lacks: of a char vocabulary by code point, else by
 * frequency.
 *
 * @param minFrequency occurrences from which a token is added
 * @param encodeText encodes the text, and reports what is unknown
 */
export function missingTokens(
  { kind, vocabulary }: Tokenizer,
  minFrequency: number,
  encodeText: (onUnknown: (unknown: Unknown) => void) => void,
): string[] {
  const counts = new Map<string, number>();
  const known = new Set(vocabulary); // a literal <unk> is unknown, and in the vocabulary
  encodeText(({ text }) => {
    if (!known.has(text)) counts.set(text, (counts.get(text) ?? 0) + 1);
  });
  const frequent = new Map([...counts].filter(([, count]) => count >= minFrequency));
  return selectVocabulary(frequent, { minFrequency }, kind === 'char' ? 'code point' : 'frequency', {
    special: [],
  });
}
