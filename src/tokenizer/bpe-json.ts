/** Byte-level BPE in tokenizer.json, as GPT-2's has it, and in its older form, the files vocab.json and merges.txt. */
import { shownJson } from '../json.ts';
import type { Merge } from './bpe-merging.ts';
import { byteAlphabet, bytesOfToken } from './byte-alphabet.ts';
import { PairTable } from '../pair-table.ts';
import { asObject, tokensInOrder, type JsonObject, type Refuse } from './tokenizer-json.ts';

export const END_OF_TEXT = '<|endoftext|>';

export interface BpeModel {
  /** By id; in the alphabet of bytes, but for those added. */
  readonly tokens: readonly string[];
  /** In the order in which they are made. */
  readonly merges: readonly Merge[];
  /** Ids of tokens that stand for their own text wherever it occurs. "Special" ones are no text to a reader. */
  readonly added: ReadonlyMap<number, { readonly special: boolean }>;
}

/** The content of tokenizer.json. */
export const bpeJson = ({ tokens, merges, added }: BpeModel): unknown => ({
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: Array.from(added, ([id, { special }]) => ({
    id,
    content: tokens[id],
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special,
  })),
  normalizer: null,
  pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  post_processor: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
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

/** Whether a tokenizer.json is BPE; older files do not name their model. */
export function isBpeJson(json: JsonObject): boolean {
  const { type, merges } = asObject(json['model']);
  return type === 'BPE' || (type === undefined && merges !== undefined);
}

/** Reads tokenizer.json after checking everything in it that ids and text depend on. */
export function readBpe(json: JsonObject, fail: Refuse): BpeModel {
  if ((json['normalizer'] ?? null) !== null) fail('"normalizer" is set, which is not supported');
  const cut = asObject(json['pre_tokenizer']);
  if (cut['type'] !== 'ByteLevel') fail('"pre_tokenizer" is not of type ByteLevel');
  if (cut['add_prefix_space'] !== false) fail('"pre_tokenizer.add_prefix_space" is not false');
  if ((cut['use_regex'] ?? true) !== true) fail('"pre_tokenizer.use_regex" is not true');
  if (asObject(json['decoder'])['type'] !== 'ByteLevel') fail('"decoder" is not of type ByteLevel');
  if (addsTokens(asObject(json['post_processor']))) fail('"post_processor" adds tokens to each text');
  const model = asObject(json['model']);
  for (const field of ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix'])
    if (model[field]) fail(`"model.${field}" is ${shownJson(model[field])}, which is not supported`);
  for (const field of ['byte_fallback', 'ignore_merges'])
    if (model[field]) fail(`"model.${field}" is set, which is not supported`);
  const merges = model['merges'];
  if (!Array.isArray(merges)) return fail('"model.merges" is not a list');
  const vocab = asObject(model['vocab']);
  return bpeModel({ vocab, merges, added: readAdded(json['added_tokens'], fail) }, fail);
}

/** ByteLevel only moves offsets, which nothing here has; a template may do no more than repeat the text. */
function addsTokens({ type, single }: JsonObject): boolean {
  if (type === undefined || type === 'ByteLevel') return false;
  const parts: unknown[] = Array.isArray(single) ? single : [];
  return type !== 'TemplateProcessing' || parts.length !== 1 || asObject(parts[0])['Sequence'] === undefined;
}

interface AddedToken {
  readonly content: string;
  readonly id: unknown;
  readonly special: boolean;
}

function readAdded(list: unknown, fail: Refuse): AddedToken[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) return fail('"added_tokens" is not a list');
  return list.map((item: unknown) => {
    const { content, id, special, single_word, lstrip, rstrip } = asObject(item);
    if (typeof content !== 'string' || content === '' || !content.isWellFormed())
      return fail(`"added_tokens" has one whose content is ${shownJson(content)}`);
    if (single_word || lstrip || rstrip)
      fail(
        `"added_tokens" has ${shownJson(content)} with single_word, lstrip or rstrip, which are not supported`,
      );
    return { content, id, special: special === true };
  });
}

/** Reads vocab.json and merges.txt, as GPT-2 was published with. `<|endoftext|>`, if it is there, is a special token. */
export function readVocabAndMerges(
  vocab: JsonObject,
  mergesText: string,
  failOfVocab: Refuse,
  failOfMerges: Refuse,
): BpeModel {
  const merges = mergesText
    .split(/\r?\n/)
    .filter((line, i) => line !== '' && !(i === 0 && line.startsWith('#version')));
  const id = Object.hasOwn(vocab, END_OF_TEXT) ? vocab[END_OF_TEXT] : undefined;
  const added = id === undefined ? [] : [{ content: END_OF_TEXT, id, special: true }];
  return bpeModel({ vocab, merges, added }, failOfMerges, failOfVocab);
}

function bpeModel(
  { vocab, merges, added }: { vocab: JsonObject; merges: readonly unknown[]; added: readonly AddedToken[] },
  fail: Refuse,
  failOfVocab = fail,
): BpeModel {
  const ids = new Map(Object.entries(vocab));
  for (const { content, id } of added) {
    if (ids.has(content) && ids.get(content) !== id)
      failOfVocab(
        `${shownJson(content)} has the id ${shownJson(ids.get(content))}, as an added token ${shownJson(id)}`,
      );
    ids.set(content, id);
  }
  const tokens = tokensInOrder([...ids], 'model.vocab', failOfVocab);
  const addedIds = new Map(added.map(({ id, special }) => [id as number, { special }]));
  tokens.forEach((token, id) => {
    if (!addedIds.has(id) && (token === '' || bytesOfToken(token) === undefined))
      failOfVocab(`"model.vocab" has ${shownJson(token)}, which is not written in GPT-2's alphabet of bytes`);
  });
  const missing = byteAlphabet.find((character) => {
    const id = ids.get(character);
    return id === undefined || addedIds.has(id as number);
  });
  if (missing !== undefined)
    failOfVocab(`"model.vocab" lacks ${shownJson(missing)}; all 256 bytes have to be tokens`);
  return { tokens, merges: readMerges(merges, ids, fail), added: addedIds };
}

function readMerges(list: readonly unknown[], ids: ReadonlyMap<string, unknown>, fail: Refuse): Merge[] {
  const pairs = new PairTable();
  return list.map((item, i) => {
    const merge = readMerge(item, i, ids, fail);
    if (pairs.add(merge.left, merge.right) < i)
      fail(`merge ${i + 1} is ${shownJson(item)}, as one before it`);
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
      ? fail(`merge ${i + 1} has ${shownJson(token)}, which is no token`)
      : (id as number);
  };
  return { left: idOf(left), right: idOf(right), joined: idOf(left + right) };
}
