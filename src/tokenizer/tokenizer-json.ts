/**
 * tokenizer.json, the file of Hugging Face's `tokenizers` library. Characters and words are both its WordLevel model behind
 * a Split pre-tokenizer; only the pattern differs. The Fuse decoder joins tokens without spaces between them.
 */
import { UserError } from '../errors.ts';
import { WORD_PATTERN } from './pieces.ts';
import { UNK, type TokenizerKind } from './tokenizer.ts';

/** One character, line breaks included: `.` would leave those together. */
export const CHAR_PATTERN = '[\\s\\S]';

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

/** What a tokenizer.json says, after checking everything about it. */
export interface ParsedTokenizer {
  readonly kind: TokenizerKind;
  readonly vocabulary: readonly string[];
}

/** @throws UserError that names the file and the field, if it is not one of ours or is damaged */
export function parseTokenizerJson(text: string, file: string): ParsedTokenizer {
  const fail = (what: string): never => {
    throw new UserError(`${file}: ${what}`, {
      hint: 'char and word tokenizers as `gpt tokenize` and `gpt train` write them can be read',
    });
  };
  const json = parseObject(text, fail);
  for (const field of ['normalizer', 'post_processor', 'truncation', 'padding'])
    if ((json[field] ?? null) !== null) fail(`"${field}" is set, which is not supported`);
  if (Array.isArray(json['added_tokens']) && json['added_tokens'].length > 0)
    fail('"added_tokens" is not empty, which is not supported');
  if (asObject(json['decoder'])['type'] !== 'Fuse') fail('"decoder" is not of type Fuse');
  const split = asObject(json['pre_tokenizer']);
  const pattern = asObject(split['pattern'])['Regex'];
  if (split['type'] !== 'Split' || split['behavior'] !== 'Isolated' || split['invert'] === true)
    fail('"pre_tokenizer" is not a Split with behavior Isolated');
  const kind: TokenizerKind | undefined =
    pattern === CHAR_PATTERN ? 'char' : pattern === WORD_PATTERN ? 'word' : undefined;
  if (kind === undefined)
    return fail('"pre_tokenizer.pattern" is neither that of characters nor that of words');
  const model = asObject(json['model']);
  if (model['type'] !== 'WordLevel')
    fail(`"model.type" is ${JSON.stringify(model['type'])}, not "WordLevel"`);
  if (model['unk_token'] !== UNK) fail(`"model.unk_token" is not "${UNK}"`);
  return { kind, vocabulary: readVocabulary(asObject(model['vocab']), kind, fail) };
}

function readVocabulary(
  vocab: Record<string, unknown>,
  kind: TokenizerKind,
  fail: (what: string) => never,
): string[] {
  const entries = Object.entries(vocab);
  const vocabulary = Array.from<string | undefined>({ length: entries.length });
  for (const [token, id] of entries) {
    if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= entries.length)
      return fail(
        `"model.vocab" gives ${JSON.stringify(token)} the id ${JSON.stringify(id)}, not one of 0 … ${entries.length - 1}`,
      );
    if (vocabulary[id] !== undefined) return fail(`"model.vocab" gives the id ${id} twice`);
    if (kind === 'char' && token !== UNK && Array.from(token).length !== 1)
      return fail(`"model.vocab" has ${JSON.stringify(token)}, which is not one character`);
    vocabulary[id] = token;
  }
  if (vocabulary.at(-1) !== UNK) return fail(`"model.vocab" does not have ${UNK} as its last id`);
  return vocabulary as string[];
}

function parseObject(text: string, fail: (what: string) => never): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return fail('is not JSON');
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return fail('is not a JSON object');
  return json as Record<string, unknown>;
}

const asObject = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
