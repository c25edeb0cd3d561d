/**
 * tokenizer_config.json and its older companions special_tokens_map.json and added_tokens.json: special tokens, their
 * roles, and prefixes of texts. Read as transformers 5 reads them for GPT-2 models.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { parseJsonObject, shownJson } from '../json.ts';
import { readTextFile } from '../read-file.ts';
import { readAddedToken, SPECIAL, type AddedToken } from '../tokenizer/added-tokens.ts';
import { END_OF_TEXT } from '../tokenizer/tokenizer.ts';
import { asObject, type JsonObject, type Refuse } from '../tokenizer/tokenizer-json.ts';
import { noSettings, type TokenizerSettings } from '../tokenizer/tokenizer-settings.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

const TOKENIZER_CONFIG = 'tokenizer_config.json';
const SPECIAL_TOKENS_MAP = 'special_tokens_map.json';
const ADDED_TOKENS = 'added_tokens.json';

/** In bytes; some vocabularies list thousands of added tokens. */
const LARGEST = 64e6;

/** The content of tokenizer_config.json. */
export const toTokenizerConfigJson = (
  { blockSize }: { readonly blockSize: number },
  { special: { roles, extra }, chatTemplate }: Pick<Tokenizer, 'special' | 'chatTemplate'>,
): Record<string, unknown> => ({
  tokenizer_class: 'PreTrainedTokenizerFast',
  ...roles,
  ...(extra.length > 0 && { additional_special_tokens: extra }),
  model_max_length: blockSize,
  clean_up_tokenization_spaces: false,
  ...(chatTemplate !== undefined && { chat_template: chatTemplate }),
});

/**
 * Tokenizer settings outside of tokenizer.json, or of vocab.json and merges.txt.
 *
 * @param embeddingRows rows of the model's embedding; 0 without a model
 * @throws UserError naming file and field, if a setting is not supported
 */
export function readTokenizerSettings(folder: string, embeddingRows: number): TokenizerSettings {
  const read = (name: string): JsonObject | undefined => readOptionalJson(join(folder, name));
  const fail = refuseIn(join(folder, TOKENIZER_CONFIG));
  const given = read(TOKENIZER_CONFIG);
  const config = given ?? {};
  const hasJson = existsSync(join(folder, 'tokenizer.json'));
  for (const field of ['add_prefix_space', 'add_bos_token', 'add_eos_token', 'split_special_tokens'])
    if (typeof (config[field] ?? false) !== 'boolean')
      fail(`"${field}" is ${shownJson(config[field])}, not true or false`);
  if (config['split_special_tokens'] === true) fail('"split_special_tokens" is true, which is not supported');
  if (config['add_eos_token'] === true && !hasJson)
    fail('"add_eos_token" is true: texts that end with a token of their own cannot be continued');

  const listed = readListed(config['added_tokens_decoder'], fail);
  const named = new NamedTokens();
  named.read(config, fail);
  if (listed === undefined)
    named.read(read(SPECIAL_TOKENS_MAP) ?? {}, refuseIn(join(folder, SPECIAL_TOKENS_MAP)));
  const names = [...Object.values(named.roles), ...named.extra];
  const older = listed === undefined ? read(ADDED_TOKENS) : undefined;
  const olderTokens = Object.entries(older ?? {}).map(([content, id]) => ({
    ...readAddedToken(content, ADDED_TOKENS, refuseIn(join(folder, ADDED_TOKENS))),
    id,
    special: names.includes(content),
    normalized: !names.includes(content),
  }));
  const isGpt2 = isGpt2Tokenizer(config['tokenizer_class']) || !hasJson;
  const isAlone = given === undefined && !existsSync(join(folder, 'config.json'));
  return {
    added: [...(listed ?? olderTokens), ...names.map((content) => ({ content, id: undefined, ...SPECIAL }))],
    roles: named.roles,
    extra: [...named.extra],
    defaultToken: isGpt2 ? END_OF_TEXT : undefined,
    // Other classes leave both to tokenizer.json.
    addPrefixSpace: isGpt2 && !isAlone ? config['add_prefix_space'] === true : noSettings.addPrefixSpace,
    addBosToken: hasJson ? undefined : config['add_bos_token'] === true,
    embeddingRows,
  };
}

/** True if transformers uses GPT2Tokenizer, because the file names it or no class at all. */
const isGpt2Tokenizer = (tokenizerClass: unknown): boolean =>
  ['GPT2Tokenizer', 'GPT2TokenizerFast', undefined, null].includes(
    tokenizerClass as string | undefined | null,
  );

/** Collects roles and further special tokens from several files; later ones override. */
class NamedTokens {
  readonly roles: Record<string, string> = {};
  readonly extra = new Set<string>();

  read(json: JsonObject, fail: Refuse): void {
    for (const [key, value] of Object.entries(json)) {
      const isToken = typeof value === 'string' || asObject(value)['content'] !== undefined;
      if (key.endsWith('_token') && isToken) this.roles[key] = readAddedToken(value, key, fail).content;
      if (key !== 'additional_special_tokens' && key !== 'extra_special_tokens') continue;
      // A list of tokens, or an object of tokens by role.
      if (Array.isArray(value))
        for (const item of value) this.extra.add(readAddedToken(item, key, fail).content);
      else
        for (const [role, token] of Object.entries(asObject(value)))
          this.roles[role] = readAddedToken(token, key, fail).content;
    }
  }
}

/** The field `added_tokens_decoder`: tokens by id. */
function readListed(field: unknown, fail: Refuse): AddedToken[] | undefined {
  if (field === undefined || field === null) return undefined;
  return Object.entries(asObject(field)).map(([id, token]) => {
    if (!/^\d{1,9}$/.test(id)) return fail(`"added_tokens_decoder" has the id ${shownJson(id)}`);
    return { ...readAddedToken(token, 'added_tokens_decoder', fail), id: Number(id) };
  });
}

/** @throws UserError that starts with the file's name */
const refuseIn =
  (file: string): Refuse =>
  (what) => {
    throw new UserError('unsupported-format', `${file}: ${what}`, {
      hint: 'save the tokenizer again with transformers, without it, or use another model',
    });
  };

/**
 * Reads a JSON object; undefined if the file does not exist.
 *
 * @throws UserError if it holds something else
 */
export function readOptionalJson(
  path: string,
  hint = 'the file is damaged; use another copy',
): JsonObject | undefined {
  if (!existsSync(path)) return undefined;
  return parseJsonObject(readTextFile(path, LARGEST), (what) => {
    throw new UserError('damaged-file', `${path}: ${what}`, { hint });
  });
}
