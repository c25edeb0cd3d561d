/** Byte-level BPE as GPT-2's tokenizer.json, or in the older form of vocab.json and merges.txt. */
import { shownJson } from '../json.ts';
import type { Merge } from './bpe-merging.ts';
import { byteAlphabet, bytesOfToken } from './byte-alphabet.ts';
import { PairTable } from '../pair-table.ts';
import {
  addedTokensJson,
  addTokens,
  readAddedTokens,
  type AddedIds,
  type AddedToken,
} from './added-tokens.ts';
import { firstToken, templateWithFirst } from './post-processor.ts';
import { asObject, onlyStep, tokensInOrder, type JsonObject, type Refuse } from './tokenizer-json.ts';
import { specialTokensOf, withDefaultToken, type TokenizerSettings } from './tokenizer-settings.ts';
import type { SpecialTokens } from './tokenizer.ts';

export const END_OF_TEXT = '<|endoftext|>';

export interface BpeModel {
  /** By id, written in the byte alphabet, except added tokens. */
  readonly tokens: readonly string[];
  /** In the order in which they are applied. */
  readonly merges: readonly Merge[];
  readonly added: AddedIds;
  readonly special: SpecialTokens;
  /** Prepend a space to a text, or to text after a special token, that starts without one. */
  readonly addPrefixSpace: boolean;
  /** Token prepended to each text. */
  readonly firstId: number | undefined;
}

/** Roles of `<|endoftext|>` in GPT-2, and in a new tokenizer, where it is the only special token. */
export const endOfTextRoles = {
  bos_token: END_OF_TEXT,
  eos_token: END_OF_TEXT,
  unk_token: END_OF_TEXT,
};

/** The content of tokenizer.json. */
export const bpeJson = ({ tokens, merges, added, addPrefixSpace, firstId }: BpeModel): unknown => ({
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
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: '',
    end_of_word_suffix: '',
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    merges: merges.map(({ left, right }) => `${tokens[left]} ${tokens[right]}`),
  },
});

/** Older files do not have "model.type". */
export function isBpeJson(json: JsonObject): boolean {
  const { type, merges } = asObject(json['model']);
  return type === 'BPE' || (type === undefined && merges !== undefined);
}

/** Reads tokenizer.json and checks everything in it that affects ids or text. */
export function readBpe(json: JsonObject, fail: Refuse, settings: TokenizerSettings): BpeModel {
  if (onlyStep(json, 'normalizer') !== undefined) fail('"normalizer" is set, which is not supported');
  const cut = asObject(onlyStep(json, 'pre_tokenizer'));
  if (cut['type'] !== 'ByteLevel') fail('"pre_tokenizer" is not of type ByteLevel');
  const spaced = cut['add_prefix_space'];
  if (typeof spaced !== 'boolean') return fail('"pre_tokenizer.add_prefix_space" is not true or false');
  if ((cut['use_regex'] ?? true) !== true) fail('"pre_tokenizer.use_regex" is not true');
  if (asObject(onlyStep(json, 'decoder'))['type'] !== 'ByteLevel') fail('"decoder" is not of type ByteLevel');
  const first = firstToken(json['post_processor'], fail);
  const model = asObject(json['model']);
  for (const field of ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix'])
    if (model[field]) fail(`"model.${field}" is ${shownJson(model[field])}, which is not supported`);
  for (const field of ['byte_fallback', 'ignore_merges'])
    if (model[field]) fail(`"model.${field}" is set, which is not supported`);
  const merges = model['merges'];
  if (!Array.isArray(merges)) return fail('"model.merges" is not a list');
  return bpeModel(
    {
      vocab: asObject(model['vocab']),
      merges,
      added: readAddedTokens(json['added_tokens'], fail),
      addPrefixSpace: settings.addPrefixSpace ?? spaced,
      first,
    },
    settings,
    fail,
  );
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
  const first =
    settings.addBosToken === true ? (settings.roles['bos_token'] ?? settings.defaultToken) : undefined;
  const addPrefixSpace = settings.addPrefixSpace ?? false;
  return bpeModel({ vocab, merges, added: [], addPrefixSpace, first }, settings, failOfMerges, failOfVocab);
}

interface BpeParts {
  readonly vocab: JsonObject;
  readonly merges: readonly unknown[];
  readonly added: readonly AddedToken[];
  readonly addPrefixSpace: boolean;
  /** Token prepended to each text. */
  readonly first: string | undefined;
}

function bpeModel(
  { vocab, merges, added, addPrefixSpace, first }: BpeParts,
  given: TokenizerSettings,
  fail: Refuse,
  failOfVocab = fail,
): BpeModel {
  const ids = new Map(Object.entries(vocab));
  for (const { content, id } of added) if (!ids.has(content)) ids.set(content, id);
  // Without a model folder, only the tokens listed in tokenizer.json are special, as no other file declares any.
  const known =
    added.length > 0 && given.embeddingRows === 0 ? added.map(({ content }) => content) : ids.keys();
  const settings = withDefaultToken(given, new Set(known), ids.size);
  const addedIds = addTokens(ids, [...added, ...settings.added], failOfVocab);
  const tokens = tokensInOrder([...ids], 'model.vocab', failOfVocab);
  const firstId = first === undefined ? undefined : tokens.indexOf(first);
  if (firstId === -1) failOfVocab(`${shownJson(first)}, which starts each text, is not a token`);
  tokens.forEach((token, id) => {
    if (!addedIds.has(id) && (token === '' || bytesOfToken(token) === undefined))
      failOfVocab(`"model.vocab" has ${shownJson(token)}, which is not written in GPT-2's byte alphabet`);
  });
  const missing = byteAlphabet.find((character) => {
    const id = ids.get(character);
    return id === undefined || addedIds.has(id as number);
  });
  if (missing !== undefined)
    failOfVocab(`"model.vocab" lacks ${shownJson(missing)}; each of the 256 bytes must be a token`);
  return {
    tokens,
    merges: readMerges(merges, ids, fail),
    added: addedIds,
    special: specialTokensOf(settings, tokens, undefined),
    addPrefixSpace,
    firstId,
  };
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
