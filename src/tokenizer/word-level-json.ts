/**
 * Characters and words in tokenizer.json: both are the WordLevel model behind a Split pre-tokenizer; only the pattern
 * differs. The Fuse decoder joins tokens without spaces between them.
 */
import { shownJson } from '../json.ts';
import { asObject, tokensInOrder, type JsonObject, type Refuse } from './tokenizer-json.ts';
import { UNK } from './tokenizer.ts';

/** The content of the file. `<unk>` is no added token: a text that contains these five characters stays what it is. */
export const wordLevelJson = (vocabulary: readonly string[], pattern: string): unknown => ({
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: 'Split', pattern: { Regex: pattern }, behavior: 'Isolated', invert: false },
  post_processor: null,
  decoder: { type: 'Fuse' },
  model: {
    type: 'WordLevel',
    // A plain object would put tokens that look like numbers first; ids say the order, so readers do not care.
    vocab: Object.fromEntries(vocabulary.map((token, id) => [token, id])),
    unk_token: UNK,
  },
});

/** Whether a tokenizer.json is a WordLevel model behind this pattern. */
export const isWordLevel = (json: JsonObject, pattern: string): boolean =>
  asObject(json['model'])['type'] === 'WordLevel' &&
  asObject(asObject(json['pre_tokenizer'])['pattern'])['Regex'] === pattern;

/** The vocabulary of a tokenizer.json, `<unk>` last, after checking everything about the file. */
export function readWordLevel(json: JsonObject, fail: Refuse): string[] {
  for (const field of ['normalizer', 'post_processor', 'truncation', 'padding'])
    if ((json[field] ?? null) !== null) fail(`"${field}" is set, which is not supported`);
  if (Array.isArray(json['added_tokens']) && json['added_tokens'].length > 0)
    fail('"added_tokens" is not empty, which is not supported');
  if (asObject(json['decoder'])['type'] !== 'Fuse') fail('"decoder" is not of type Fuse');
  const split = asObject(json['pre_tokenizer']);
  if (split['type'] !== 'Split' || split['behavior'] !== 'Isolated' || split['invert'] === true)
    fail('"pre_tokenizer" is not a Split with behavior Isolated');
  const model = asObject(json['model']);
  if (model['unk_token'] !== UNK) fail(`"model.unk_token" is ${shownJson(model['unk_token'])}, not "${UNK}"`);
  const vocabulary = tokensInOrder(Object.entries(asObject(model['vocab'])), 'model.vocab', fail);
  if (vocabulary.at(-1) !== UNK) return fail(`"model.vocab" does not have ${UNK} as its last id`);
  return vocabulary;
}
