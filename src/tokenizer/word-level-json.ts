/**
 * Characters and words in tokenizer.json: both are the WordLevel model behind a Split pre-tokenizer; only the pattern
 * differs. The Fuse decoder joins tokens without spaces between them.
 */
import { addedTokensJson, addTokens, readAddedTokens, type AddedIds } from './added-tokens.ts';
import { addsNothing } from './post-processor.ts';
import { asObject, onlyStep, tokensInOrder, type JsonObject, type Refuse } from './tokenizer-json.ts';
import { specialTokensOf, type TokenizerSettings } from './tokenizer-settings.ts';
import { UNK, type SpecialTokens } from './tokenizer.ts';

export interface WordLevelModel {
  /** By id. */
  readonly tokens: readonly string[];
  /** Undefined if there is no token for what the vocabulary lacks. */
  readonly unkId: number | undefined;
  readonly added: AddedIds;
  readonly special: SpecialTokens;
}

/**
 * A new vocabulary, `<unk>` last. It has all roles, because CTranslate2 and lm-eval require a token for each;
 * but no text starts or ends with it.
 */
export function newWordLevel(tokens: readonly string[]): WordLevelModel {
  const unkId = tokens.length - 1;
  const roles = allPlayedBy(UNK);
  return {
    tokens,
    unkId,
    added: new Map([[unkId, { special: true }]]),
    special: specialTokensOf({ roles, extra: [] }, tokens, unkId),
  };
}

const allPlayedBy = (token: string) => ({ bos_token: token, eos_token: token, unk_token: token });

/** The content of the file. `<unk>` is an added token, as AutoTokenizer takes the unknown token for one in any case. */
export const wordLevelJson = ({ tokens, unkId, added }: WordLevelModel, pattern: string): unknown => ({
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: addedTokensJson(tokens, added),
  normalizer: null,
  pre_tokenizer: { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
  post_processor: null,
  decoder: { type: 'Fuse' },
  model: {
    type: 'WordLevel',
    // A plain object would put tokens that look like numbers first; ids say the order, so readers do not care.
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    unk_token: unkId === undefined ? null : tokens[unkId],
  },
});

/** Whether a tokenizer.json is a WordLevel model behind this pattern. */
export const isWordLevel = (json: JsonObject, pattern: string): boolean =>
  asObject(json['model'])['type'] === 'WordLevel' &&
  asObject(asObject(onlyStep(json, 'pre_tokenizer'))['pattern'])['Regex'] === pattern;

/**
 * Reads tokenizer.json after checking everything in it. In folders from before `<unk>` was an added token, its text is the
 * characters that it looks like.
 */
export function readWordLevel(json: JsonObject, fail: Refuse, settings: TokenizerSettings): WordLevelModel {
  if (onlyStep(json, 'normalizer') !== undefined) fail('"normalizer" is set, which is not supported');
  for (const field of ['truncation', 'padding'])
    if ((json[field] ?? null) !== null) fail(`"${field}" is set, which is not supported`);
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
  const roles = Object.keys(named).length > 0 || unkId === undefined ? named : allPlayedBy(unknown);
  return { tokens, unkId, added, special: specialTokensOf({ roles, extra }, tokens, unkId) };
}
