/**
 * Character and word tokenizers in tokenizer.json: a WordLevel model with a Split pre-tokenizer. Only the pattern differs.
 * The Fuse decoder concatenates tokens without spaces.
 *
 * With character fallback, the model is a BPE without merges and with "ignore_merges": a piece that is a token is that
 * token, any other is its characters.
 */
import { isDeepStrictEqual } from 'node:util';
import { addedTokensJson, addTokens, readAddedTokens, SPECIAL, type AddedIds } from './added-tokens.ts';
import { addsNothing } from './post-processor.ts';
import { asObject, onlyStep, tokensInOrder, type JsonObject, type Refuse } from './tokenizer-json.ts';
import { specialTokensOf, type TokenizerSettings } from './tokenizer-settings.ts';
import { END_OF_TEXT, UNK, type SpecialTokens } from './tokenizer.ts';

export interface WordLevelModel {
  /** By id. */
  readonly tokens: readonly string[];
  /** Undefined if the vocabulary has no token for unknown text. */
  readonly unkId: number | undefined;
  readonly added: AddedIds;
  readonly special: SpecialTokens;
  /** A piece outside of the vocabulary is its characters; otherwise it is `<unk>`. */
  readonly hasCharacterFallback: boolean;
}

/**
 * A new vocabulary with `<unk>` last, preceded by `<|endoftext|>` and other special tokens, if any. Without
 * `<|endoftext|>`, `<unk>` has all roles, because CTranslate2 and lm-eval require a token for each, but it neither starts
 * nor ends a text.
 */
export function newWordLevel(
  tokens: readonly string[],
  special: readonly string[] = [END_OF_TEXT],
  hasCharacterFallback = false,
): WordLevelModel {
  const unkId = tokens.length - 1;
  const hasEnds = tokens.includes(END_OF_TEXT);
  const ids = new Set([...special.map((token) => tokens.indexOf(token)).filter((id) => id >= 0), unkId]);
  const roles = rolesOf(UNK, hasEnds);
  return {
    tokens,
    unkId,
    added: new Map([...ids].map((id) => [id, SPECIAL])),
    special: specialTokensOf({ roles, extra: [] }, tokens, unkId),
    hasCharacterFallback,
  };
}

const rolesOf = (unknown: string, hasEnds: boolean): Readonly<Record<string, string>> => {
  const boundary = hasEnds ? END_OF_TEXT : unknown;
  return { bos_token: boundary, eos_token: boundary, unk_token: unknown };
};

/** The content of tokenizer.json. `<unk>` is listed as an added token because AutoTokenizer makes it one in any case. */
export const wordLevelJson = (
  { tokens, unkId, added, hasCharacterFallback }: WordLevelModel,
  pattern: string,
): unknown => ({
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: addedTokensJson(tokens, added),
  normalizer: null,
  pre_tokenizer: { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
  post_processor: null,
  decoder: { type: 'Fuse' },
  model: {
    ...(hasCharacterFallback ? FALLBACK : { type: 'WordLevel' }),
    // The object lists integer-like tokens first, which is harmless: order is given by the ids.
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    unk_token: unkId === undefined ? null : tokens[unkId],
  },
});

/** The fields of a model with character fallback. */
const FALLBACK = {
  type: 'BPE',
  dropout: null,
  continuing_subword_prefix: null,
  end_of_word_suffix: null,
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: true,
  merges: [],
};

/** Detects a WordLevel model with this pattern. */
export const isWordLevel = (json: JsonObject, pattern: string): boolean =>
  asObject(json['model'])['type'] === 'WordLevel' && patternOf(json) === pattern;

/** Detects a model with this pattern and character fallback. */
export const hasFallbackModel = (json: JsonObject, pattern: string): boolean =>
  hasFallbackFields(asObject(json['model'])) && patternOf(json) === pattern;

/** Other programs write an empty prefix or suffix instead of none. */
const hasFallbackFields = (model: JsonObject): boolean =>
  Object.entries(FALLBACK).every(([name, value]) =>
    isDeepStrictEqual(model[name] === '' ? null : (model[name] ?? null), value),
  );

const patternOf = (json: JsonObject): unknown =>
  asObject(asObject(onlyStep(json, 'pre_tokenizer'))['pattern'])['Regex'];

/**
 * Reads and validates tokenizer.json. In older folders, where `<unk>` is not an added token, a literal `<unk>` is five
 * characters. `truncation` and `padding` are arguments of the last call in Python, which `AutoTokenizer` sets anew each time.
 */
export function readWordLevel(json: JsonObject, fail: Refuse, settings: TokenizerSettings): WordLevelModel {
  if (onlyStep(json, 'normalizer') !== undefined) fail('"normalizer" is set, which is not supported');
  if (!addsNothing(json['post_processor'])) fail('"post_processor" adds tokens to each text');
  if (asObject(onlyStep(json, 'decoder'))['type'] !== 'Fuse') fail('"decoder" is not of type Fuse');
  const split = asObject(onlyStep(json, 'pre_tokenizer'));
  if (split['type'] !== 'Split' || split['behavior'] !== 'Isolated' || split['invert'] === true)
    fail('"pre_tokenizer" is not a Split with behavior Isolated');
  const model = asObject(json['model']);
  const vocab = new Map(Object.entries(asObject(model['vocab'])));
  const unknown = typeof model['unk_token'] === 'string' ? model['unk_token'] : '';
  const unkId = vocab.get(unknown) as number | undefined;
  const listed = readAddedTokens(json['added_tokens'], fail);
  const others = settings.added.filter(({ content }) => content !== unknown);
  const added = addTokens(vocab, [...listed, ...others], fail);
  const tokens = tokensInOrder([...vocab], 'model.vocab', fail);
  const { extra, roles: named } = settings;
  const hasEnds = [...added.keys()].some((id) => tokens[id] === END_OF_TEXT);
  const roles = Object.keys(named).length > 0 || unkId === undefined ? named : rolesOf(unknown, hasEnds);
  return {
    tokens,
    unkId,
    added,
    special: specialTokensOf({ roles, extra }, tokens, unkId),
    hasCharacterFallback: hasFallbackFields(model),
  };
}
