import { array, assert, constantFrom, nat, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { GPT2_PATTERN, gpt2Starts } from '../../src/tokenizer/gpt2-pieces.ts';
import { WHITE_SPACE } from '../../src/tokenizer/pieces.ts';
import { tokenizerFromJson, tokenizerKinds, tokenizers } from '../../src/tokenizer/registry.ts';
import {
  encode,
  UNK,
  type Tokenizer,
  type TokenizerKind,
  type Unknown,
  type VocabularyBuilder,
} from '../../src/tokenizer/tokenizer.ts';
import { UnitReader } from '../../src/tokenizer/text-units.ts';
import { WORDS, WORDS_CUT_AT_MARKS } from '../../src/tokenizer/word-pieces.ts';
import { failure } from '../fixtures/failure.ts';

/** Text that tokenizers stumble over, besides fast-check's own arbitrary code points. */
const AWKWARD = [
  'The  quick\n\n\tbrown fox.\r\n',
  ' don’t—stop… “ok”?',
  '👩‍👩‍👧‍👦 🇩🇪 e\u0301 ﬁ',
  'שָׁלוֹם، مرحبا',
  '東京 스마트 ไทย น้ำตก हिन्दी में क्षत्रिय',
  'cafe\u0301 \u0301\u0302x\n\u0301y ☠\ufe0f1 می\u200cخواهم 𑀓𑀺 \u{11038}',
  '𝒳𐍈🜁',
  'a\u00a0b\u2028c\u2029d\u0085e\ufefff\u200bg',
  '\0\u0001\u001b[31m',
  'snake_case x² Ⅷ 3.14',
  '<unk> <|endoftext|>',
  "'s they've 're ''d I'm 'l 'LL x's's",
  '\n \n',
  ' ',
  '  ',
  '\r',
];
const text = array(constantFrom(...AWKWARD, 'x', ' ', 'ß', '1'), { maxLength: 8 }).map((parts) =>
  parts.join(''),
);
const anyText = string({ unit: 'grapheme', maxLength: 60 });

/** Limits that keep tests quick. */
const sizes = { char: {}, word: {}, bpe: { maxSize: 300 } };
const runs = { char: 300, word: 300, bpe: 100 };

const builderOf = (kind: TokenizerKind, limits = {}): VocabularyBuilder =>
  tokenizers[kind].vocabulary({ minFrequency: 1, ...sizes[kind], ...limits });

function learn(kind: TokenizerKind, corpus: string, limits = {}): Tokenizer {
  const builder = builderOf(kind, limits);
  builder.push(corpus);
  return builder.end();
}

/** A word tokenizer that spells rare words in characters. */
const spelling = { rareWords: 'spell', minFrequency: 2 } as const;

describe.each([
  ...tokenizerKinds.map((kind) => ({ name: kind as string, kind, limits: {} })),
  { name: 'spelling word', kind: 'word' as const, limits: spelling },
])('the $name tokenizer', ({ kind, limits }) => {
  test('decodes to the text it encoded, if the vocabulary covers it', () => {
    assert(
      property(text, anyText, (a, b) => {
        const whole = a + b;
        const tokenizer = learn(kind, whole, limits);
        const ids = encode(tokenizer, whole);
        expect(tokenizer.decode(ids)).toBe(whole.toWellFormed());
        if (tokenizer.unkId !== undefined && !whole.includes(UNK)) expect(ids).not.toContain(tokenizer.unkId);
      }),
      { numRuns: runs[kind], seed: 1 },
    );
  });

  test('gives the same ids and the same vocabulary however a text is divided', () => {
    assert(
      property(text, anyText, array(nat(60), { maxLength: 6 }), (a, b, cuts) => {
        const whole = a + b;
        const places = [0, ...cuts.map((c) => Math.min(c, whole.length)).sort((x, y) => x - y), whole.length];
        const pieces = places.slice(1).map((end, i) => whole.slice(places[i], end));
        const builder = builderOf(kind, limits);
        for (const piece of pieces) builder.push(piece);
        const tokenizer = builder.end();
        expect(tokenizer.vocabulary).toEqual(learn(kind, whole, limits).vocabulary);
        const encoder = tokenizer.encoder();
        const ids = [...pieces.flatMap((piece) => [...encoder.push(piece)]), ...encoder.end()];
        expect(ids).toEqual([...encode(tokenizer, whole)]);
      }),
      { numRuns: runs[kind], seed: 2 },
    );
  });

  test('decodes to the same text however the ids are divided, and reports the bytes of each token', () => {
    assert(
      property(text, anyText, (a, b) => {
        const whole = a + b;
        const tokenizer = learn(kind, whole, limits);
        const ids = encode(tokenizer, whole);
        const decoder = tokenizer.decoder();
        const pieces = [...Array.from(ids, (id) => decoder.push([id])), decoder.end()];
        expect(pieces.join('')).toBe(whole.toWellFormed());
        expect(pieces.every((piece) => piece.isWellFormed())).toBe(true);
        expect(ids.reduce((sum, id) => sum + tokenizer.byteLength(id), 0)).toBe(Buffer.byteLength(whole));
      }),
      { numRuns: runs[kind], seed: 4 },
    );
  });

  test('survives a round trip through tokenizer.json', () => {
    const tokenizer = learn(kind, AWKWARD.join('12 3 3 3 toString __proto__ constructor'), limits);
    const again = tokenizerFromJson(JSON.stringify(tokenizer.toJSON()));
    expect(again.kind).toBe(kind);
    expect(again.vocabulary).toEqual(tokenizer.vocabulary);
    const whole = AWKWARD.join('');
    expect(encode(again, whole)).toEqual(encode(tokenizer, whole));
  });

  test('depends only on its text', () => {
    expect(JSON.stringify(learn(kind, 'so it goes', limits).toJSON())).toBe(
      JSON.stringify(learn(kind, 'so it goes', limits).toJSON()),
    );
  });
});

describe.each(['char', 'word'] as const)('the %s tokenizer, whose vocabulary is the text’s,', (kind) => {
  test('reports unknown text and its position', () => {
    const tokenizer = learn(kind, 'ab ab.');
    const unknown: Unknown[] = [];
    const ids = encode(tokenizer, 'ab 🐋 ab', (found) => unknown.push(found));
    expect(unknown).toEqual([{ text: kind === 'char' ? '🐋' : ' 🐋', position: kind === 'char' ? 3 : 2 }]);
    expect([...ids].filter((id) => id === tokenizer.unkId).length).toBe(1);
    expect(tokenizer.decode(ids)).toBe(kind === 'char' ? `ab ${UNK} ab` : `ab${UNK} ab`);
  });

  test('respects its limits: the most frequent tokens, ties in order', () => {
    expect(learn(kind, 'c b b a a', { maxSize: 4 }).vocabulary).toEqual(
      kind === 'char' ? [' ', 'a', 'b', UNK] : [' a', ' b', 'c', UNK],
    );
    const rare = learn(kind, 'x y y', { minFrequency: 2 });
    expect(rare.vocabulary).toEqual(kind === 'char' ? [' ', 'y', UNK] : [' y', UNK]);
  });

  test('refuses limits that leave an empty vocabulary', () => {
    expect(() => learn(kind, 'x y z', { minFrequency: 5 })).toThrow(failure('unsuitable-tokenizer', '5'));
  });

  test('reads lone surrogates as U+FFFD', () => {
    const tokenizer = learn(kind, 'a\ud800b');
    expect(tokenizer.vocabulary).toContain('\ufffd');
    expect(tokenizer.decode(encode(tokenizer, 'a\udc00b'))).toBe('a\ufffdb');
  });
});

test('characters have the ids of nanoGPT: in code-point order, followed by <unk>', () => {
  expect(learn('char', 'hello\nWorld!').vocabulary).toEqual([
    '\n',
    '!',
    'W',
    'd',
    'e',
    'h',
    'l',
    'o',
    'r',
    UNK,
  ]);
});

/** White space is not the same in JavaScript as elsewhere. */
const inJavaScript = (pattern: string): string =>
  pattern
    .replaceAll('(?!\\S)', `(?![^${WHITE_SPACE}])`)
    .replaceAll('[^\\s', `[^${WHITE_SPACE}`)
    .replaceAll('\\s', `[${WHITE_SPACE}]`);

test.each([
  ['words', WORDS.pattern, WORDS.starts],
  ['words of older folders', WORDS_CUT_AT_MARKS.pattern, WORDS_CUT_AT_MARKS.starts],
  ["GPT-2's pieces", GPT2_PATTERN, gpt2Starts],
])('%s are split as by their pattern', (_name, source, rule) => {
  const pattern = new RegExp(inJavaScript(source), 'gu');
  assert(
    property(text, anyText, (a, b) => {
      const whole = (a + b).toWellFormed();
      const { units, length } = new UnitReader().read(whole, true);
      const starts = new Uint32Array(length + 1);
      const count = rule(units, 0, length, true, starts, 0);
      const pieces = Array.from({ length: count }, (_, i) => whole.slice(starts[i], starts[i + 1]));
      expect(pieces).toEqual(whole.match(pattern) ?? []);
      expect(pieces.join('')).toBe(whole);
    }),
    { numRuns: 1000, seed: 3 },
  );
});

describe('words', () => {
  const wordsOf = (whole: string, json?: object): string[] => {
    const tokenizer = json === undefined ? learn('word', whole) : tokenizerFromJson(JSON.stringify(json));
    return Array.from(encode(tokenizer, whole), (id) => tokenizer.vocabulary[id]);
  };
  test.each([
    ['Hindi', 'हिन्दी में नमस्ते।', ['हिन्दी', ' में', ' नमस्ते', '।']],
    ['Thai', 'น้ำตก สวย', ['น้ำตก', ' สวย']],
    ['decomposed Latin', 'cafe\u0301s un', ['cafe\u0301s', ' un']],
    ['joiners within a Persian word', 'می\u200cخواهم', ['می\u200cخواهم']],
    ['a variation selector behind an emoji', '☠\ufe0fx', ['☠\ufe0f', 'x']],
    ['a mark without a letter', '\n\u0301x \u0301', ['\n', '\u0301', 'x', ' \u0301']],
    ['marks beyond the basic plane', '𑀓𑀺𑀓', ['𑀓𑀺𑀓']],
  ])('keep their combining marks: %s', (_name, whole, words) => {
    expect(wordsOf(whole)).toEqual(words);
  });

  test('of older folders are split at combining marks as before', () => {
    const vocab = { e: 0, '\u0301': 1, s: 2, '<unk>': 3 };
    const json = learn('word', 'x').toJSON() as Record<string, Record<string, unknown>>;
    json['pre_tokenizer']['pattern'] = { Regex: WORDS_CUT_AT_MARKS.pattern };
    json['model']['vocab'] = vocab;
    Object.assign(json, { added_tokens: [] });
    expect(wordsOf('e\u0301s', json)).toEqual(['e', '\u0301', 's']);
    const again = tokenizerFromJson(JSON.stringify(json)).toJSON();
    expect(JSON.stringify(again)).toContain(JSON.stringify(WORDS_CUT_AT_MARKS.pattern));
  });

  test.each([
    ['话说天下大势，分久必合。 It was', 'Han'],
    ['สวัสดีชาวโลก กินข้าว', 'Thai'],
    ['吾輩は猫である。名前はまだ無い。', 'Hiragana'],
    ['हिन्दी में नमस्ते दुनिया', undefined],
    ['The word 東京 means eastern capital.', undefined],
    ['123 !?', undefined],
  ])('a script without spaces is detected: %s', (whole, script) => {
    for (const limits of [{}, spelling]) expect(learn('word', whole, limits).unspacedScript).toBe(script);
  });

  test('that are too long are refused', () => {
    expect(() => learn('word', 'x'.repeat(1e6 + 1))).toThrow(failure('unsuitable-tokenizer', '1,000,000'));
  });
});

describe.each(tokenizerKinds)('added tokens that overlap: %s', (kind) => {
  const learned = learn(kind, 'a b a\n');
  const size = learned.vocabSize;
  const json = learned.toJSON() as { added_tokens: unknown[] };
  /** With two added tokens, `aab`, which is normalized, and `ab`, which is not. */
  const tokenizer = tokenizerFromJson(
    JSON.stringify({
      ...json,
      added_tokens: [
        ...json.added_tokens,
        { id: size, content: 'aab', special: false, normalized: true },
        { id: size + 1, content: 'ab', special: true, normalized: false },
      ],
    }),
  );

  test('those that are not normalized are found first, as in tokenizers', () => {
    const ids = [...encode(tokenizer, 'aab')];
    expect(ids).toEqual([...encode(learned, 'a'), size + 1]);
    expect(tokenizer.decode(ids)).toBe('aab');
  });

  test('the ids are the same in chunks and after a round trip', () => {
    const again = tokenizerFromJson(JSON.stringify(tokenizer.toJSON()));
    for (const whole of ['aab', 'aaab aab', 'a aabab\nb', 'aa']) {
      const encoder = again.encoder(() => {});
      const pieces = Array.from(whole, (character) => [...encoder.push(character)]).flat();
      expect([...pieces, ...encoder.end()]).toEqual([...encode(tokenizer, whole, () => {})]);
    }
  });
});

test.each(tokenizerKinds)('%s: the padding and truncation of the last call in Python are ignored', (kind) => {
  const learned = learn(kind, 'ab ab');
  const called = {
    ...(learned.toJSON() as object),
    truncation: { direction: 'Right', max_length: 2, strategy: 'LongestFirst', stride: 0 },
    padding: { strategy: 'BatchLongest', direction: 'Right', pad_id: 0, pad_type_id: 0, pad_token: 'a' },
  };
  const ids = encode(tokenizerFromJson(JSON.stringify(called)), 'ab ab');
  expect(ids).toEqual(encode(learned, 'ab ab'));
});

describe('an unsupported tokenizer.json is refused, and the field is named', () => {
  const good = () => JSON.parse(JSON.stringify(learn('char', 'ab').toJSON())) as Record<string, any>; // eslint-disable-line typescript/no-explicit-any
  test.each([
    ['not JSON', () => 'x', failure('unsupported-format', 'JSON')],
    ['no object', () => '[]', failure('unsupported-format', 'JSON object')],
    [
      'another model',
      () => JSON.stringify({ ...good(), model: { type: 'Unigram' } }),
      failure('unsupported-format', '"model.type"', '"Unigram"'),
    ],
    [
      'a normalizer',
      () => JSON.stringify({ ...good(), normalizer: { type: 'NFC' } }),
      failure('unsupported-format', '"normalizer"'),
    ],
    [
      'added tokens',
      () => JSON.stringify({ ...good(), added_tokens: [{}] }),
      failure('unsupported-format', '"added_tokens"'),
    ],
    ['another decoder', () => JSON.stringify({ ...good(), decoder: null }), '"decoder"'],
    [
      'another pattern',
      () => {
        const json = good();
        json['pre_tokenizer'].pattern.Regex = '.';
        return JSON.stringify(json);
      },
      '"pre_tokenizer.pattern"',
    ],
    [
      'an id out of range',
      () => {
        const json = good();
        json['model'].vocab.a = 7;
        return JSON.stringify(json);
      },
      failure('unsupported-format', '"a"', '7'),
    ],
    [
      'an id twice',
      () => {
        const json = good();
        json['model'].vocab.a = 1;
        return JSON.stringify(json);
      },
      failure('unsupported-format', '1'),
    ],
    [
      'a long character',
      () => {
        const json = good();
        json['model'].vocab = { ab: 0, c: 1, '<unk>': 2 };
        return JSON.stringify(json);
      },
      failure('unsupported-format'),
    ],
  ])('%s', (_name, make, expected) => {
    expect(() => tokenizerFromJson(make(), 'here/tokenizer.json')).toThrow(expected);
    expect(() => tokenizerFromJson(make(), 'here/tokenizer.json')).toThrow(
      failure('unsupported-format', 'here/tokenizer.json'),
    );
  });
});
