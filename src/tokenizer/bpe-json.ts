/** BPE in tokenizer.json, or in the older form of GPT-2's vocab.json and merges.txt. */
import { isDeepStrictEqual } from 'node:util';
import { shownJson } from '../json.ts';
import type { Merge } from './bpe-merging.ts';
import { gpt2Pipeline, type BpeModel, type Pipeline } from './bpe-tokenizer.ts';
import { byteAlphabet } from './byte-alphabet.ts';
import { PairTable } from '../pair-table.ts';
import {
  addedTokensJson,
  addTokens,
  readAddedTokens,
  type AddedIds,
  type AddedToken,
} from './added-tokens.ts';
import { readPipeline } from './pipeline/read-pipeline.ts';
import { templateWithFirst } from './post-processor.ts';
import { asObject, tokensInOrder, type JsonObject, type Refuse } from './tokenizer-json.ts';
import { specialTokensOf, withDefaultToken, type TokenizerSettings } from './tokenizer-settings.ts';
import { END_OF_TEXT } from './tokenizer.ts';

/** Roles of `<|endoftext|>` in GPT-2, and in a new tokenizer, where it is the only special token. */
export const endOfTextRoles = {
  bos_token: END_OF_TEXT,
  eos_token: END_OF_TEXT,
  unk_token: END_OF_TEXT,
};

/** A tokenizer like GPT-2's. */
export interface Gpt2Parts extends Pick<BpeModel, 'tokens' | 'merges' | 'added' | 'special'> {
  /** Prepend a space to a text, or to text after a special token, that starts without one. */
  readonly addPrefixSpace: boolean;
  /** Token prepended to each text. */
  readonly firstId: number | undefined;
}

export const gpt2Model = (parts: Gpt2Parts): BpeModel => ({
  ...parts,
  modelIds: new Set([...parts.tokens.keys()].filter((id) => !parts.added.has(id))),
  pipeline: gpt2Pipeline(parts.addPrefixSpace, parts.firstId),
  toJSON: () => gpt2Json(parts),
  modelJson: () => modelJson(parts),
  source: undefined,
});

/** The content of tokenizer.json. */
const gpt2Json = ({ tokens, merges, added, addPrefixSpace, firstId }: Gpt2Parts): unknown => ({
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: addedTokensJson(tokens, added),
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: addPrefixSpace, trim_offsets: true, use_regex: true },
  post_processor:
    firstId === undefined
      ? { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true }
      : templateWithFirst(tokens[firstId], firstId),
  decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: modelJson({ tokens, merges }),
});

/** The field `model` of tokenizer.json. @param options those that differ from GPT-2's */
const modelJson = (
  { tokens, merges }: Pick<BpeModel, 'tokens' | 'merges'>,
  options: JsonObject = {},
): unknown => ({
  type: 'BPE',
  dropout: null,
  unk_token: null,
  continuing_subword_prefix: '',
  end_of_word_suffix: '',
  fuse_unk: false,
  byte_fallback: false,
  ignore_merges: false,
  ...options,
  vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
  merges: merges.map(({ left, right }) => `${tokens[left]} ${tokens[right]}`),
});

/** Older files do not have "model.type". */
export function isBpeJson(json: JsonObject): boolean {
  const { type, merges } = asObject(json['model']);
  return type === 'BPE' || (type === undefined && merges !== undefined);
}

/**
 * Reads tokenizer.json and checks everything in it that affects ids or text.
 *
 * @param text of the file
 */
export function readBpe(json: JsonObject, fail: Refuse, given: TokenizerSettings, text: string): BpeModel {
  const model = asObject(json['model']);
  const merges = model['merges'];
  if (!Array.isArray(merges)) return fail('"model.merges" is not a list');
  const listed = readAddedTokens(json['added_tokens'], fail);
  const isGpt2 = isLikeGpt2(json);
  const parts = readParts(
    {
      vocab: asObject(model['vocab']),
      merges,
      listed,
      given: isGpt2 ? given : { ...given, defaultToken: undefined },
    },
    fail,
  );
  const read = readPipeline(json, parts.ids, fail);
  const prefix = isGpt2 ? withPrefix(read, given.addPrefixSpace) : read;
  if (read.preTokenization.isByteLevel) checkBytes(parts, fail);
  const isKept =
    prefix === read &&
    listed.length === parts.added.size &&
    listed.every((token) => isListed(token, parts.added));
  return {
    ...parts,
    pipeline: prefix,
    source: isKept ? text : undefined,
    modelJson: () => {
      const { ignoresMerges, unknown } = read;
      const unk_token = unknown.unkId === undefined ? null : parts.tokens[unknown.unkId];
      const [fuse_unk, byte_fallback] = [unknown.fusesUnknown, unknown.hasByteFallback];
      return modelJson(parts, { unk_token, fuse_unk, byte_fallback, ignore_merges: ignoresMerges });
    },
    toJSON: () => {
      const file = JSON.parse(text) as JsonObject;
      if (isKept) return file;
      const [cut, spaced] = [asObject(file['pre_tokenizer']), prefix.preTokenization.prefix !== undefined];
      return {
        ...file,
        added_tokens: addedTokensJson(parts.tokens, parts.added),
        pre_tokenizer: prefix === read ? file['pre_tokenizer'] : { ...cut, add_prefix_space: spaced },
      };
    },
  };
}

const isListed = ({ content: _content, id, ...flags }: AddedToken, added: AddedIds): boolean =>
  isDeepStrictEqual(flags, added.get(id as number));

/** True for a tokenizer like GPT-2's, whose settings other files of the folder may override. */
function isLikeGpt2(json: JsonObject): boolean {
  const { type, use_regex } = asObject(json['pre_tokenizer']);
  return type === 'ByteLevel' && (use_regex ?? true) === true && (json['normalizer'] ?? null) === null;
}

/** The pipeline with or without a space before texts. @param isWanted undefined: leave it as it is */
function withPrefix(pipeline: Pipeline, isWanted: boolean | undefined): Pipeline {
  const { preTokenization } = pipeline;
  if (isWanted === undefined || isWanted === (preTokenization.prefix !== undefined)) return pipeline;
  const prefix = isWanted ? { text: ' ', onlyFirst: false } : undefined;
  return { ...pipeline, preTokenization: { ...preTokenization, prefix } };
}

/** Reads vocab.json and merges.txt, the format in which GPT-2 was published. */
export function readVocabAndMerges(
  vocab: JsonObject,
  mergesText: string,
  settings: TokenizerSettings,
  failOfVocab: Refuse,
  failOfMerges: Refuse,
): BpeModel {
  const merges = mergesText
    .split(/\r?\n/)
    .filter((line, i) => line !== '' && !(i === 0 && line.startsWith('#version')));
  const parts = readParts({ vocab, merges, listed: [], given: settings }, failOfMerges, failOfVocab);
  checkBytes(parts, failOfVocab);
  const first =
    settings.addBosToken === true ? (settings.roles['bos_token'] ?? settings.defaultToken) : undefined;
  const firstId = first === undefined ? undefined : parts.tokens.indexOf(first);
  if (firstId === -1) failOfVocab(`${shownJson(first)}, which starts each text, is not a token`);
  return gpt2Model({ ...parts, addPrefixSpace: settings.addPrefixSpace ?? false, firstId });
}

interface Written {
  readonly vocab: JsonObject;
  readonly merges: readonly unknown[];
  readonly listed: readonly AddedToken[];
  readonly given: TokenizerSettings;
}

/** A tokenizer's vocabulary and merges, without its pipeline. */
interface Parts extends Pick<BpeModel, 'tokens' | 'merges' | 'modelIds' | 'added' | 'special'> {
  readonly ids: ReadonlyMap<string, unknown>;
}

function readParts({ vocab, merges, listed, given }: Written, fail: Refuse, failOfVocab = fail): Parts {
  const ids = new Map(Object.entries(vocab));
  const modelIds = new Set(ids.values() as Iterable<number>);
  for (const { content, id } of listed) if (!ids.has(content)) ids.set(content, id);
  // Without a model folder, only the tokens listed in tokenizer.json are special, as no other file declares any.
  const known =
    listed.length > 0 && given.embeddingRows === 0 ? listed.map(({ content }) => content) : ids.keys();
  const settings = withDefaultToken(given, new Set(known), ids.size);
  const added = addTokens(ids, [...listed, ...settings.added], failOfVocab);
  const tokens = tokensInOrder([...ids], 'model.vocab', failOfVocab);
  const empty = tokens.indexOf('');
  if (empty >= 0) failOfVocab(`"model.vocab" has an empty token, ${empty}`);
  return {
    ids,
    tokens,
    modelIds,
    merges: readMerges(merges, ids, fail),
    added,
    special: specialTokensOf(settings, tokens, undefined),
  };
}

function checkBytes({ tokens, modelIds }: Pick<BpeModel, 'tokens' | 'modelIds'>, fail: Refuse): void {
  const known = new Set(Array.from(modelIds, (id) => tokens[id]));
  const missing = byteAlphabet.find((character) => !known.has(character));
  if (missing !== undefined)
    fail(`"model.vocab" lacks ${shownJson(missing)}; each of the 256 bytes must be a token`);
}

function readMerges(list: readonly unknown[], ids: ReadonlyMap<string, unknown>, fail: Refuse): Merge[] {
  const pairs = new PairTable();
  return list.map((item, i) => {
    const merge = readMerge(item, i, ids, fail);
    if (pairs.add(merge.left, merge.right) < i)
      fail(`merge ${i + 1} repeats an earlier one, ${shownJson(item)}`);
    return merge;
  });
}

/** A merge is "a b" or ["a", "b"]. */
function readMerge(merge: unknown, i: number, ids: ReadonlyMap<string, unknown>, fail: Refuse): Merge {
  const parts: unknown[] = typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : [];
  const [left, right] = parts;
  if (parts.length !== 2 || typeof left !== 'string' || typeof right !== 'string')
    return fail(`merge ${i + 1} is ${shownJson(merge)}, not two tokens`);
  const idOf = (token: string): number => {
    const id = ids.get(token);
    return id === undefined
      ? fail(`merge ${i + 1} has ${shownJson(token)}, which is not a token`)
      : (id as number);
  };
  return { left: idOf(left), right: idOf(right), joined: idOf(left + right) };
}
