import { array, assert, constantFrom, property } from 'fast-check';
import { SPECIAL } from '../../src/tokenizer/added-tokens.ts';
import { describe, expect, test } from 'vitest';
import { ByteMerges } from '../../src/export/byte-merges.ts';
import { llamaVocabulary } from '../../src/export/llama-vocabulary.ts';
import { createCharTokenizer } from '../../src/tokenizer/char.ts';
import { bpeFromVocabAndMerges } from '../../src/tokenizer/bpe.ts';
import { byteAlphabet, tokenOfBytes } from '../../src/tokenizer/byte-alphabet.ts';
import { tokenizers } from '../../src/tokenizer/registry.ts';
import { encode, padded, type Tokenizer, type TokenizerKind } from '../../src/tokenizer/tokenizer.ts';
import { tokenizerFromJson } from '../../src/tokenizer/registry.ts';
import { noSettings } from '../../src/tokenizer/tokenizer-settings.ts';
import { failure } from '../fixtures/failure.ts';

function learn(kind: TokenizerKind, text: string, maxSize?: number): Tokenizer {
  const builder = tokenizers[kind].vocabulary({ minFrequency: 1, maxSize });
  builder.push(text);
  return builder.end();
}

const [NORMAL, CONTROL, USER_DEFINED, UNUSED] = [1, 3, 4, 5];

interface Vocabulary {
  readonly tokens: readonly string[];
  readonly types: readonly number[];
  readonly merges: readonly string[];
  readonly metadata: Readonly<Record<string, unknown>>;
}

function vocabularyOf(tokenizer: Tokenizer): Vocabulary {
  const { metadata } = llamaVocabulary(tokenizer);
  const { int32s: types } = metadata['tokenizer.ggml.token_type'] as { int32s: number[] };
  const tokens = metadata['tokenizer.ggml.tokens'] as string[];
  return { tokens, types, merges: metadata['tokenizer.ggml.merges'] as string[], metadata };
}

/** Byte pair encoding as llama.cpp does it: by the text of the symbols. */
function mergedSymbols(text: string, merges: readonly string[]): string[] {
  const ranks = new Map(merges.map((merge, rank) => [merge, rank]));
  const symbols = Array.from(tokenOfBytes(Buffer.from(text)));
  for (;;) {
    const found = symbols.slice(1).map((right, i) => ranks.get(`${symbols[i]} ${right}`) ?? Infinity);
    const best = Math.min(...found);
    if (best === Infinity) return symbols;
    const at = found.indexOf(best);
    symbols.splice(at, 2, symbols[at] + symbols[at + 1]);
  }
}

/** Ids of a text in which user-defined tokens are matched first, then nothing is split. */
function idsOf(text: string, { tokens, types, merges }: Vocabulary): number[] {
  const whole = tokens.filter((_, id) => types[id] === USER_DEFINED);
  const parts = whole.length === 0 ? [text] : text.split(new RegExp(`(${whole.join('|')})`, 'u'));
  return parts
    .flatMap((part) => (whole.includes(part) ? [part] : mergedSymbols(part, merges)))
    .map((symbol) => tokens.indexOf(symbol));
}

const piece = constantFrom(
  'The whale',
  ' that hat at that',
  'abab ab aba babab',
  ' don’t—stop… “ok”?',
  'e\u0301 ﬁ naïve',
  '👩‍👩‍👧‍👦 🇩🇪',
  'हिन्दी 東京 한국어',
  ' snake_case x² 3.14 ',
  '\n\n\t ',
  "'tis 'rest they'll ",
  '  (a b) !',
  'x',
);
const texts = array(piece, { minLength: 1, maxLength: 8 }).map((parts) => parts.join(''));

describe.each(['char', 'word'] as const)('a %s vocabulary as byte-level BPE', (kind) => {
  test('gives its own ids to any text of known tokens, even if it is not split at all', () => {
    assert(
      property(texts, (text) => {
        const tokenizer = learn(kind, text);
        expect(idsOf(text, vocabularyOf(tokenizer))).toEqual([...encode(tokenizer, text)]);
      }),
      { numRuns: 150, seed: 1 },
    );
  });
});

/** The text of what llama.cpp makes of `text`: a symbol that is no token becomes those of its bytes that are tokens. */
function textInLlamaCpp(text: string, { tokens, merges }: Vocabulary): string {
  const known = new Set(tokens);
  const symbols = mergedSymbols(text, merges).flatMap((symbol) =>
    known.has(symbol) ? [symbol] : Array.from(symbol).filter((byte) => byte < '\x7f' && known.has(byte)),
  );
  return Buffer.from(Array.from(symbols.join(''), (byte) => bytes.get(byte)!)).toString();
}

/** Bytes by their characters in the byte alphabet. */
const bytes = new Map(Array.from({ length: 256 }, (_, byte) => [tokenOfBytes(Buffer.of(byte)), byte]));

test('a word that is not in the vocabulary keeps its letters and the space before it in llama.cpp', () => {
  const builder = tokenizers.word.vocabulary({ minFrequency: 2, rareWords: 'spell' });
  builder.push('the whale, the whales; a whale é, a pale whale café café — pale ales whims whim xyzr');
  const vocabulary = vocabularyOf(builder.end());
  for (const text of [' whim', 'pale whalers', 'thee whales, — wheels', ' axe — xa', ' é; the'])
    expect(textInLlamaCpp(text, vocabulary)).toBe(text);
  expect(llamaVocabulary(builder.end()).warnings).toEqual([
    expect.stringContaining('outside of the vocabulary'),
  ]);
});

test('merges build tokens that contain each other, in any order', () => {
  const words = ['that', 'hat', 'at', 'abab', 'ab', 'aba', 'bab', 'that', 'aaaa', 'aaa', 'x'];
  for (const order of [words, words.toReversed(), words.toSorted()]) {
    const merges = new ByteMerges();
    for (const word of order) merges.add(word);
    for (const word of words) expect(mergedSymbols(word, merges.list())).toEqual([word]);
  }
});

test('a char vocabulary needs no tokens besides its own', () => {
  const { tokens, types, merges, metadata } = vocabularyOf(
    createCharTokenizer([' ', 'a', 'é', '—', '🐋', '<unk>']),
  );
  expect(tokens).toEqual(['Ġ', 'a', 'Ã©', '—', '🐋', '<unk>']);
  expect(types).toEqual([NORMAL, NORMAL, NORMAL, USER_DEFINED, USER_DEFINED, CONTROL]);
  expect(merges).toEqual(['Ã ©']);
  expect(metadata).toMatchObject({
    'tokenizer.ggml.eos_token_id': { uint32: 5 }, // the default is 11, an ordinary character
    'tokenizer.ggml.unknown_token_id': { uint32: 5 },
    'tokenizer.ggml.add_bos_token': false,
  });
});

test('a bpe vocabulary keeps its tokens and merges; padding gets names', () => {
  const tokenizer = learn('bpe', 'the whale the whale', 262);
  const { tokens, types, merges, metadata } = vocabularyOf(padded(tokenizer, 264));
  const json = tokenizer.toJSON() as { model: { vocab: Record<string, number>; merges: string[] } };
  expect(tokens.slice(0, 261).map((token) => json.model.vocab[token])).toEqual([...Array(261).keys()]);
  expect(tokens.slice(261)).toEqual(['<|endoftext|>', '[PAD262]', '[PAD263]']);
  expect(types.slice(260)).toEqual([NORMAL, CONTROL, UNUSED, UNUSED]);
  expect(merges).toEqual(json.model.merges);
  expect(metadata).toMatchObject({
    'tokenizer.ggml.pre': 'gpt-2',
    'tokenizer.ggml.bos_token_id': { uint32: 261 },
    'tokenizer.ggml.eos_token_id': { uint32: 261 },
  });
});

test('words that llama.cpp splits are named', () => {
  const others = expect.stringContaining('outside of the vocabulary');
  expect(llamaVocabulary(learn('word', 'a b. c!')).warnings).toEqual([others]);
  expect(llamaVocabulary(learn('word', 'a !\ufe0f')).warnings).toEqual([
    expect.stringContaining('" !\ufe0f"'),
    others,
  ]);
});

describe('what llama.cpp does not have is refused:', () => {
  const bpe = (settings: Partial<typeof noSettings>): Tokenizer =>
    bpeFromVocabAndMerges(
      { file: 'vocab.json', text: JSON.stringify(Object.fromEntries(byteAlphabet.map((c, i) => [c, i]))) },
      { file: 'merges.txt', text: '' },
      { ...noSettings, defaultToken: undefined, ...settings },
    );

  test('a space before each text', () => {
    const tokenizer = bpe({ addPrefixSpace: true });
    expect(() => llamaVocabulary(tokenizer)).toThrow(failure('unsupported-format', 'add_prefix_space'));
  });

  test('texts without an end', () => {
    expect(() => llamaVocabulary(bpe({}))).toThrow(failure('unsupported-format', 'end token'));
  });

  test.each([
    [{ normalizer: { type: 'NFKC' } }, 'normalizes'],
    [{ normalizer: { type: 'Lowercase' } }, 'normalizes'],
    [{ pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: false } }, 'splits'],
    [{ added_tokens: [{ id: 256, content: '<s>', lstrip: true, special: true }] }, 'lstrip'],
    [
      {
        post_processor: {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: 'a' } }, { SpecialToken: { id: 'a' } }, { Sequence: { id: 'A' } }],
          special_tokens: { a: { ids: [0] } },
        },
      },
      'more than one token',
    ],
  ])('%j', (change, reason) => {
    const file = bpe({
      added: [{ content: '<s>', id: 256, ...SPECIAL }],
      roles: { eos_token: '<s>' },
    }).toJSON();
    const tokenizer = tokenizerFromJson(
      JSON.stringify({ ...(file as object), ...change }),
      'tokenizer.json',
      {
        ...noSettings,
        roles: { eos_token: '<s>' },
      },
    );
    expect(() => llamaVocabulary(tokenizer)).toThrow(failure('unsupported-format', reason));
  });

  test('a word of thousands of bytes', () => {
    const tokenizer = learn('word', `a ${'b'.repeat(3000)}`);
    expect(() => llamaVocabulary(tokenizer)).toThrow(failure('unsupported-format', '3001'));
  });

  test('two tokens of the same text', () => {
    const added = [{ content: '[PAD258]', id: 256, ...SPECIAL }];
    const tokenizer = padded(bpe({ added, roles: { eos_token: '[PAD258]' } }), 259);
    expect(() => llamaVocabulary(tokenizer)).toThrow(failure('unsupported-format', '[PAD258]'));
  });
});
