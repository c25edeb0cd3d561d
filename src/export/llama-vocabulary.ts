/**
 * Converts tokenizers to llama.cpp's (src/llama-vocab.cpp there), which yield the same ids for the same text. All except
 * those with byte fallback become byte-level BPE.
 *
 * - bpe of bytes: tokens and merges as they are, with the name of the rule that splits text (splitting-rules.ts).
 * - bpe of characters with byte fallback: as a SentencePiece tokenizer (sentencepiece.ts).
 * - char: a character is a token however the text around it is split. ASCII needs no merge, characters of two bytes need
 *   one. Longer ones are "user defined", that is, matched in the text before BPE, because BPE would have to build them from
 *   parts that are not in the vocabulary, which only llama.cpp allows.
 * - word: merges build each word (byte-merges.ts). The symbols in between need not be tokens: llama.cpp looks up merges by
 *   their text. It splits text by rules that are compiled in; the one used here rarely splits, which is harmless because no
 *   merge joins symbols of two words.
 *
 * Byte-level BPE has no unknown token. llama.cpp drops characters that are in no token. An unknown word may be split into
 * other tokens than here, and characters outside of ASCII may be lost.
 */
import { UserError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { tokenOfBytes } from '../tokenizer/byte-alphabet.ts';
import { asObject, onlyStep, type JsonObject } from '../tokenizer/tokenizer-json.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { ByteMerges } from './byte-merges.ts';
import type { GgufValue } from './gguf.ts';
import { isByte, scoresOf, spacePrefixOf, type SpacePrefix } from './sentencepiece.ts';
import { splittingRule } from './splitting-rules.ts';

/** Numbers of `enum llama_token_type`. */
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;
const BYTE = 6;

/** A splitting rule, "tokenizer.ggml.pre", that splits only at white space and " ?(|.,!?…". */
const COARSE_RULE = 'poro-chat';
/** Characters that end a piece under `COARSE_RULE`. */
const COARSE_ENDS = '(|.,!?…。，、।۔،)';

/** In bytes. llama.cpp needs time proportional to the square of a word's length. */
const LONGEST_WORD = 2000;

export interface LlamaVocabulary {
  readonly metadata: Readonly<Record<string, GgufValue>>;
  /** Differences in llama.cpp's behavior, one per line. */
  readonly warnings: readonly string[];
}

interface Parts {
  /** Metadata specific to the kind of tokenizer: its name, and merges or scores. */
  readonly metadata: Readonly<Record<string, GgufValue>>;
  readonly warnings: readonly string[];
}

/** @throws UserError naming the part of the tokenizer that llama.cpp does not have */
export function llamaVocabulary(tokenizer: Tokenizer): LlamaVocabulary {
  const json = asObject(tokenizer.toJSON());
  const entries = entriesOf(tokenizer, json);
  const { metadata, warnings } = partsOf(tokenizer, json, entries);
  const tokens = entries.map(({ token }) => token);
  refuseDuplicates(tokens);
  return {
    metadata: {
      ...metadata,
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.token_type': { int32s: entries.map(({ type }) => type) },
      ...boundaries(tokenizer),
      ...(tokenizer.chatTemplate !== undefined && { 'tokenizer.chat_template': tokenizer.chatTemplate }),
    },
    warnings,
  };
}

const byteLevel = (rule: string, merges: readonly string[]): Record<string, GgufValue> => ({
  'tokenizer.ggml.model': 'gpt2',
  'tokenizer.ggml.pre': rule,
  'tokenizer.ggml.merges': merges,
});

function partsOf(tokenizer: Tokenizer, json: JsonObject, entries: readonly Entry[]): Parts {
  if (tokenizer.kind === 'bpe') return bpeParts(json, entries);
  const merges = new ByteMerges();
  const isCharacter = (_: Entry, id: number): boolean => Array.from(tokenizer.vocabulary[id]).length === 1;
  const words = entries.filter((entry, id) => !isCharacter(entry, id));
  // Characters first, so that they stay whole in words that are not in the vocabulary.
  for (const { token, type } of [...entries.filter(isCharacter), ...words]) {
    if (type !== NORMAL) continue;
    refuseLong(token);
    merges.add(token);
  }
  const warnings = tokenizer.kind === 'word' ? warningsOf(tokenizer) : [];
  return { metadata: byteLevel(COARSE_RULE, merges.list()), warnings };
}

function bpeParts(json: JsonObject, entries: readonly Entry[]): Parts {
  refuseFlags(json);
  const prefix = spacePrefixOf(json);
  if (prefix !== undefined) return sentencePieceParts(json, entries, prefix);
  const isNormalized = onlyStep(json, 'normalizer') !== undefined;
  const merges = mergesOf(json).map((pair) => pair.join(' '));
  return {
    metadata: byteLevel(ruleOf(json), merges),
    warnings: isNormalized
      ? ['llama.cpp does not normalize text: composed and decomposed characters get ids of their own']
      : [],
  };
}

function sentencePieceParts(
  json: JsonObject,
  entries: readonly Entry[],
  { addsPrefix, isConditional }: SpacePrefix,
): Parts {
  if (asObject(json['model'])['ignore_merges'] === true)
    throw unsupported('has "ignore_merges" and byte fallback, which llama.cpp does not combine');
  const vocabulary = new Map(
    entries.flatMap(({ token, type }, id) =>
      type === NORMAL || type === BYTE ? [[token, id] as const] : [],
    ),
  );
  const found = scoresOf(vocabulary, mergesOf(json), entries.length);
  if ('problem' in found)
    throw unsupported(
      `${found.problem}; llama.cpp instead merges any two symbols that form a token, in order of the tokens' scores`,
    );
  return {
    metadata: {
      'tokenizer.ggml.model': 'llama',
      'tokenizer.ggml.pre': 'default',
      'tokenizer.ggml.scores': { float32s: found.scores },
      'tokenizer.ggml.add_space_prefix': addsPrefix,
    },
    warnings: isConditional
      ? ['llama.cpp puts a space also before texts that start with one, and after special tokens']
      : [],
  };
}

interface Entry {
  readonly token: string;
  readonly type: number;
}

/** By id. */
function entriesOf(tokenizer: Tokenizer, json: JsonObject): Entry[] {
  const added = addedTokens(json);
  const stored = tokenizer.kind === 'bpe' ? vocabularyOf(json) : bytesOf(tokenizer);
  const hasBytes = tokenizer.kind === 'bpe' && spacePrefixOf(json) !== undefined;
  return tokenizer.vocabulary.map((text, id) => {
    const isSpecial = added.get(id);
    if (text === '') return { token: `[PAD${id}]`, type: UNUSED };
    if (isSpecial === true) return { token: text, type: CONTROL };
    const isLongCharacter = tokenizer.kind === 'char' && Buffer.byteLength(text) > 2;
    if (isSpecial === false || isLongCharacter) return { token: text, type: USER_DEFINED };
    const token = stored(id);
    return { token, type: hasBytes && isByte(token) ? BYTE : NORMAL };
  });
}

/** Whether each added token is special, by id. */
const addedTokens = (json: JsonObject): ReadonlyMap<number, boolean> =>
  new Map(
    (json['added_tokens'] as readonly { id: number; special: boolean }[]).map(({ id, special }) => [
      id,
      special,
    ]),
  );

/** Tokens of a bpe vocabulary are already written as in llama.cpp: in the byte alphabet, or with ▁ for a space. */
function vocabularyOf(json: JsonObject): (id: number) => string {
  const byId = new Map(
    Object.entries(asObject(asObject(json['model'])['vocab'])).map(([token, id]) => [id, token]),
  );
  return (id) => byId.get(id)!;
}

const bytesOf =
  ({ vocabulary }: Tokenizer) =>
  (id: number): string =>
    tokenOfBytes(Buffer.from(vocabulary[id]));

const mergesOf = (json: JsonObject): [string, string][] =>
  (asObject(json['model'])['merges'] as readonly (string | [string, string])[]).map((merge) =>
    typeof merge === 'string' ? (merge.split(' ') as [string, string]) : merge,
  );

/** The rule that splits a text as the tokenizer does. */
function ruleOf(json: JsonObject): string {
  if (asObject(onlyStep(json, 'pre_tokenizer'))['add_prefix_space'] === true)
    throw unsupported('starts each text with a space ("add_prefix_space"), which llama.cpp does not');
  const rule = splittingRule(json);
  const { type: normalizer = 'NFC' } = asObject(onlyStep(json, 'normalizer'));
  if (rule === 'no such pattern' || normalizer !== 'NFC')
    throw unsupported('normalizes or splits text in a way that has no name in llama.cpp');
  if (rule === 'no such merging')
    throw unsupported('has another "ignore_merges" than llama.cpp has with this splitting rule');
  return rule;
}

function refuseFlags(json: JsonObject): void {
  const added = (json['added_tokens'] ?? []) as readonly JsonObject[];
  const flag = ['single_word', 'lstrip', 'rstrip'].find((name) =>
    added.some((token) => token[name] === true),
  );
  if (flag !== undefined)
    throw unsupported(`has an added token with "${flag}", which llama.cpp does not have`);
}

const unsupported = (what: string): UserError =>
  new UserError('unsupported-format', `the tokenizer ${what}`, {
    hint: 'the model runs elsewhere with transformers: see docs/use-elsewhere.md',
  });

/** llama.cpp finds tokens by their text. */
function refuseDuplicates(tokens: readonly string[]): void {
  const seen = new Set<string>();
  for (const token of tokens) {
    if (seen.has(token)) throw unsupported(`has two tokens that llama.cpp would write ${shownJson(token)}`);
    seen.add(token);
  }
}

function refuseLong(token: string): void {
  if (token.length > LONGEST_WORD)
    throw unsupported(
      `has a word of ${token.length} bytes, ${shownJson(`${token.slice(0, 20)}…`)}; llama.cpp can handle ${LONGEST_WORD}`,
    );
}

/** Words that llama.cpp splits: marks after a character that ends a piece under its rule, such as "!" and a variation selector. */
function warningsOf(tokenizer: Tokenizer): string[] {
  return [...splitWords(tokenizer), OTHER_WORDS];
}

const OTHER_WORDS =
  'llama.cpp may split words outside of the vocabulary into other tokens than gpt, and lose their non-ASCII characters';

function splitWords({ vocabulary, unkId }: Tokenizer): string[] {
  const split = vocabulary.filter(
    (token, id) =>
      id !== unkId && Array.from(token.trimStart()).length > 1 && COARSE_ENDS.includes(token.trimStart()[0]),
  );
  if (split.length === 0) return [];
  const shown = split.slice(0, 3).map((token) => shownJson(token));
  return [`llama.cpp splits ${split.length} words of the vocabulary: ${shown.join(', ')}`];
}

/**
 * Tokens that start and end texts. Without an end token, llama.cpp would take token 11, whatever it is; the end token is
 * then `<unk>`, which gpt never generates.
 */
function boundaries(tokenizer: Tokenizer): Record<string, GgufValue> {
  const { special, unkId, vocabSize } = tokenizer;
  const [firstId, ...further] = tokenizer.encoder(undefined, { isFirst: true, isLast: false }).end();
  if (further.length > 0) throw unsupported('puts more than one token before each text');
  const [end = unkId, ...others] = special.endIds;
  if (end === undefined && vocabSize > 11)
    throw unsupported('has neither an end token nor <unk>, and llama.cpp needs one of them');
  const start = firstId ?? special.startId ?? end;
  const [turn, message] = others;
  return {
    ...(start !== undefined && { 'tokenizer.ggml.bos_token_id': { uint32: start } }),
    ...(end !== undefined && { 'tokenizer.ggml.eos_token_id': { uint32: end } }),
    ...(turn !== undefined && { 'tokenizer.ggml.eot_token_id': { uint32: turn } }),
    ...(message !== undefined && { 'tokenizer.ggml.eom_token_id': { uint32: message } }),
    ...(unkId !== undefined && { 'tokenizer.ggml.unknown_token_id': { uint32: unkId } }),
    'tokenizer.ggml.add_bos_token': firstId !== undefined,
    'tokenizer.ggml.add_eos_token': false,
  };
}
