/**
 * Tokenizers as llama.cpp's byte-level BPE (src/llama-vocab.cpp there), with the same ids for the same text.
 *
 * - bpe: tokens and merges as they are.
 * - char: a character is a token however the text around it is split. ASCII needs nothing, characters of two bytes one
 *   merge. Longer ones are "user defined", that is, matched in the text before BPE, because BPE would have to build them
 *   from parts that are not in the vocabulary, which other programs than llama.cpp do not allow.
 * - word: merges build each word (byte-merges.ts). The symbols in between need not be tokens: llama.cpp looks up merges by
 *   their text. It splits text into words by rules that are compiled in; the one used here splits hardly ever, which does no
 *   harm, since no merge joins what belongs to two words.
 *
 * BPE has no unknown token. llama.cpp leaves out characters that are in no token, and spells an unknown word with the tokens
 * that occur in it.
 */
import { UserError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { tokenOfBytes } from '../tokenizer/byte-alphabet.ts';
import { asObject, onlyStep } from '../tokenizer/tokenizer-json.ts';
import { encode, type Tokenizer } from '../tokenizer/tokenizer.ts';
import { ByteMerges } from './byte-merges.ts';
import type { GgufValue } from './gguf.ts';

/** Numbers of `enum llama_token_type`. */
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

/** Names of splitting rules, "tokenizer.ggml.pre": GPT-2's, and one that splits only at white space and " ?(|.,!?…". */
const GPT2_RULE = 'gpt-2';
const COARSE_RULE = 'poro-chat';
/** Characters that end a piece under `COARSE_RULE`. */
const COARSE_ENDS = '(|.,!?…。，、।۔،)';

/** In bytes. llama.cpp needs time proportional to the square of a word's length. */
const LONGEST_WORD = 2000;

export interface LlamaVocabulary {
  readonly metadata: Readonly<Record<string, GgufValue>>;
  /** What llama.cpp does differently, a line each. */
  readonly warnings: readonly string[];
}

interface Parts {
  readonly rule: string;
  readonly tokens: readonly string[];
  readonly types: readonly number[];
  readonly merges: readonly string[];
  readonly warnings: readonly string[];
}

/** @throws UserError naming the part of the tokenizer that llama.cpp does not have */
export function llamaVocabulary(tokenizer: Tokenizer): LlamaVocabulary {
  const { rule, tokens, types, merges, warnings } = partsOf(tokenizer);
  refuseDuplicates(tokens);
  return {
    metadata: {
      'tokenizer.ggml.model': 'gpt2',
      'tokenizer.ggml.pre': rule,
      'tokenizer.ggml.tokens': tokens,
      'tokenizer.ggml.token_type': { int32s: types },
      'tokenizer.ggml.merges': merges,
      ...boundaries(tokenizer),
      ...(tokenizer.chatTemplate !== undefined && { 'tokenizer.chat_template': tokenizer.chatTemplate }),
    },
    warnings,
  };
}

function partsOf(tokenizer: Tokenizer): Parts {
  const json = asObject(tokenizer.toJSON());
  const entries = entriesOf(tokenizer, json);
  const [tokens, types] = [entries.map(({ token }) => token), entries.map(({ type }) => type)];
  if (tokenizer.kind === 'bpe')
    return { rule: ruleOf(json), tokens, types, merges: mergesOf(json), warnings: [] };
  const merges = new ByteMerges();
  for (const { token, type } of entries) {
    if (type !== NORMAL) continue;
    refuseLong(token);
    merges.add(token);
  }
  const warnings = tokenizer.kind === 'word' ? warningsOf(tokenizer) : [];
  return { rule: COARSE_RULE, tokens, types, merges: merges.list(), warnings };
}

interface Entry {
  readonly token: string;
  readonly type: number;
}

/** By id. */
function entriesOf(tokenizer: Tokenizer, json: Record<string, unknown>): Entry[] {
  const added = addedTokens(json);
  const inByteAlphabet = tokenizer.kind === 'bpe' ? vocabularyOf(json) : bytesOf(tokenizer);
  return tokenizer.vocabulary.map((text, id) => {
    const isSpecial = added.get(id);
    if (text === '') return { token: `[PAD${id}]`, type: UNUSED };
    if (isSpecial === true) return { token: text, type: CONTROL };
    const isLongCharacter = tokenizer.kind === 'char' && Buffer.byteLength(text) > 2;
    if (isSpecial === false || isLongCharacter) return { token: text, type: USER_DEFINED };
    return { token: inByteAlphabet(id), type: NORMAL };
  });
}

/** Whether each added token is special, by id. */
const addedTokens = (json: Record<string, unknown>): ReadonlyMap<number, boolean> =>
  new Map(
    (json['added_tokens'] as readonly { id: number; special: boolean }[]).map(({ id, special }) => [
      id,
      special,
    ]),
  );

/** Tokens of a bpe vocabulary are written in the byte alphabet already. */
function vocabularyOf(json: Record<string, unknown>): (id: number) => string {
  const byId = new Map(
    Object.entries(asObject(asObject(json['model'])['vocab'])).map(([token, id]) => [id, token]),
  );
  return (id) => byId.get(id)!;
}

const bytesOf =
  ({ vocabulary }: Tokenizer) =>
  (id: number): string =>
    tokenOfBytes(Buffer.from(vocabulary[id]));

const mergesOf = (json: Record<string, unknown>): string[] =>
  (asObject(json['model'])['merges'] as readonly (string | readonly string[])[]).map((merge) =>
    typeof merge === 'string' ? merge : merge.join(' '),
  );

/** The rule that splits a text as the tokenizer does. */
function ruleOf(json: Record<string, unknown>): string {
  const step = asObject(onlyStep(json, 'pre_tokenizer'));
  if (step['add_prefix_space'] === true)
    throw unsupported('starts each text with a space ("add_prefix_space"), which llama.cpp does not');
  const isSplit = step['type'] === 'ByteLevel' && (step['use_regex'] ?? true) === true;
  if (onlyStep(json, 'normalizer') !== undefined || !isSplit)
    throw unsupported('normalizes or splits text in a way that has no name in llama.cpp');
  if (asObject(json['model'])['ignore_merges'] === true)
    throw unsupported('has "ignore_merges", which llama.cpp does not have with this splitting rule');
  const added = (json['added_tokens'] ?? []) as readonly Record<string, unknown>[];
  const flag = ['single_word', 'lstrip', 'rstrip'].find((name) =>
    added.some((token) => token[name] === true),
  );
  if (flag !== undefined)
    throw unsupported(`has an added token with "${flag}", which llama.cpp does not have`);
  return GPT2_RULE;
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
function warningsOf({ vocabulary, unkId }: Tokenizer): string[] {
  const split = vocabulary.filter(
    (token, id) =>
      id !== unkId && Array.from(token.trimStart()).length > 1 && COARSE_ENDS.includes(token.trimStart()[0]),
  );
  if (split.length === 0) return [];
  const shown = split.slice(0, 3).map((token) => shownJson(token));
  return [`llama.cpp splits ${split.length} words of the vocabulary: ${shown.join(', ')}`];
}

/**
 * Tokens that start and end texts. Without an end, llama.cpp would take token 11, whatever it is; `<unk>`, which gpt never
 * generates, ends the text there.
 */
function boundaries(tokenizer: Tokenizer): Record<string, GgufValue> {
  const { special, unkId, vocabSize } = tokenizer;
  const [firstId, ...further] = encode(tokenizer, '');
  if (further.length > 0) throw unsupported('adds more than one token to each text');
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
