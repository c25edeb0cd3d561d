import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { encodePrompt, startOfText } from '../../src/generate/prompt.ts';
import { tokenizerFromJson } from '../../src/tokenizer/registry.ts';
import { encode, encodeWhole, type Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { failure } from '../fixtures/failure.ts';

interface Shape {
  readonly name: string;
  readonly model: string;
  /** The fields of tokenizer.json besides the model. */
  readonly steps: Record<string, unknown>;
  readonly options: Record<string, unknown>;
  /** By text: the ids of Hugging Face's tokenizers, and what they decode to. */
  readonly ids: number[][];
  readonly decoded: string[];
}

// Written by test/fixtures/open_tokenizers.py.
const { models, texts, shapes } = JSON.parse(
  readFileSync(new URL('../fixtures/open_tokenizers.json', import.meta.url), 'utf8'),
) as { models: Record<string, object>; texts: string[]; shapes: Shape[] };

const fileOf = ({ steps, options, model }: Shape, changes: object = {}): string =>
  JSON.stringify({ ...steps, model: { ...options, ...models[model] }, ...changes });

const read = (shape: Shape): Tokenizer => tokenizerFromJson(fileOf(shape));

describe.each(shapes.map((shape) => [shape.name, shape] as const))('%s', (_name, shape) => {
  const tokenizer = read(shape);

  test('gives the ids and the text of Hugging Face’s tokenizers', () => {
    const encoder = tokenizer.encoder();
    for (const [i, text] of texts.entries()) {
      const ids = Array.from(encodeWhole(encoder, text));
      expect([text, ids]).toEqual([text, shape.ids[i]]);
      expect([text, tokenizer.decode(ids)]).toEqual([text, shape.decoded[i]]);
    }
  });

  test('gives the same for a text and for tokens that arrive one by one', () => {
    for (const [i, text] of texts.entries()) {
      const encoder = tokenizer.encoder();
      const byUnit = text.split('').flatMap((unit) => [...encoder.push(unit)]);
      expect([text, [...byUnit, ...encoder.end()]]).toEqual([text, shape.ids[i]]);
      const decoder = tokenizer.decoder();
      expect(shape.ids[i].map((id) => decoder.push([id])).join('') + decoder.end()).toBe(shape.decoded[i]);
    }
  });

  test('gives the same for the parts of a text', () => {
    const whole = texts.map((text, i) => text + ['.\n', '<s>\n', '.\n</s>'][i % 3]).join('');
    const parts: string[] = [];
    for (let rest = whole; rest !== '';) {
      const end = tokenizer.cut(rest) || rest.length;
      const first = rest.slice(0, end);
      // A part may end at the last cut of any prefix, whatever text follows.
      const at = tokenizer.cut(first.slice(0, Math.ceil(first.length / 2))) || end;
      parts.push(rest.slice(0, at));
      rest = rest.slice(at);
    }
    const ids = parts.flatMap((part, i) => [
      ...encode(tokenizer, part, undefined, { isFirst: i === 0, isLast: i === parts.length - 1 }),
    ]);
    expect(ids).toEqual([...encode(tokenizer, whole)]);
  });

  test('is written as it was read', () => {
    expect(tokenizer.source).toBe(fileOf(shape));
    expect(tokenizer.toJSON()).toEqual(JSON.parse(fileOf(shape)));
  });
});

describe('what is not supported is refused by the name of its field', () => {
  const cut = (...steps: object[]): object => ({ pre_tokenizer: { type: 'Sequence', pretokenizers: steps } });
  const split = (pattern: object, rest: object = {}): object =>
    cut({ type: 'Split', pattern, behavior: 'Isolated', invert: false, ...rest }, BYTES);
  const regex = (source: string): object => split({ Regex: source });
  const BYTES = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false };
  const METASPACE = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: true };
  const STRIP = { type: 'Strip', strip_left: true, strip_right: false };
  const FIRST = '"pre_tokenizer.pretokenizers[0].pattern"';
  const SECOND = '"pre_tokenizer.pretokenizers[1].';
  const DECODER = '"decoder.decoders[1].';
  const decoders = (...steps: object[]): object => ({ decoder: { type: 'Sequence', decoders: steps } });
  const spaces = { type: 'Replace', pattern: { String: '▁▁' }, content: ' ' };

  test.each<[object, string, ...string[]]>([
    [{ normalizer: { type: 'BertNormalizer' } }, '"normalizer.type"', '"BertNormalizer"'],
    [
      { normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Precompiled' }] } },
      '"normalizer.normalizers[1].type"',
      '"Precompiled"',
    ],
    [{ normalizer: { type: 'Sequence' } }, '"normalizer.normalizers"'],
    [
      { normalizer: { type: 'Replace', pattern: { Regex: ' +' }, content: ' ' } },
      '"normalizer.pattern"',
      '{"Regex":" +"}',
    ],
    [{ normalizer: { type: 'Replace', pattern: { String: '' }, content: ' ' } }, '"normalizer.pattern"'],
    [{ normalizer: { type: 'Prepend', prepend: 3 } }, '"normalizer.prepend"', '3'],
    [cut({ type: 'WhitespaceSplit' }, BYTES), '"pre_tokenizer.pretokenizers[0].type"', '"WhitespaceSplit"'],
    [cut(BYTES, { type: 'Digits', individual_digits: true }), '"pre_tokenizer.pretokenizers[0].type"'],
    [cut({ type: 'Digits', individual_digits: true }, METASPACE), `${SECOND}type"`, '"Metaspace"'],
    [
      cut({ type: 'Digits', individual_digits: true }, { ...BYTES, add_prefix_space: true }),
      `${SECOND}add_prefix_space"`,
    ],
    [{ normalizer: STRIP, pre_tokenizer: METASPACE }, '"pre_tokenizer.prepend_scheme"'],
    [{ pre_tokenizer: { ...METASPACE, add_prefix_space: false } }, '"pre_tokenizer.add_prefix_space"'],
    [split({ Regex: 'a' }, { behavior: 'Merged' }), '"pre_tokenizer.pretokenizers[0].behavior"', '"Merged"'],
    [split({}), FIRST],
    [regex('(?<=a)b'), FIRST, '(?<='],
    [regex('(?<!a)b'), FIRST],
    [regex('(?>a)b'), FIRST],
    [regex('(a)\\1'), FIRST, '\\1'],
    [regex('a*?b'), FIRST, 'lazy'],
    [regex('a{2}+'), FIRST, 'repetition'],
    [regex('\\w+'), FIRST],
    [regex('\\bfoo'), FIRST],
    [regex('^a'), FIRST, '^'],
    [regex('a$'), FIRST, '$'],
    [regex('.'), FIRST],
    [regex('a*'), FIRST, 'empty'],
    [regex('[a&&b]'), FIRST, 'intersection'],
    [regex('[[:alpha:]]'), FIRST, 'class'],
    [regex('[a'), FIRST, '['],
    [regex('(a'), FIRST, '('],
    [regex('a)'), FIRST, ')'],
    [regex('[b-a]'), FIRST],
    [regex('\\p{Emoji}'), FIRST, 'Emoji'],
    [regex('(?!ab)c'), FIRST, 'lookahead'],
    [regex('(?i:ss)'), FIRST],
    [regex('(?i:é)'), FIRST, 'é'],
    [regex('a++a'), FIRST, 'possessive'],
    [regex('(ab)++c'), FIRST, 'possessive'],
    [regex('a{1000}'), FIRST, '{1000}'],
    [regex('((((a{100}){100}){100}){100}){100}'), FIRST, 'repetitions'],
    [regex('(a|b)*a(a|b){12}'), FIRST, 'states'],
    [regex('('.repeat(30) + 'a' + ')'.repeat(30)), FIRST, 'nested'],
    [{ post_processor: { type: 'RobertaProcessing' } }, '"post_processor.type"', '"RobertaProcessing"'],
    [{ post_processor: { type: 'BertProcessing' } }, '"post_processor.type"', '"BertProcessing"'],
    [
      {
        post_processor: {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: 'x' } }, { Sequence: { id: 'A' } }],
          special_tokens: {},
        },
      },
      '"post_processor.special_tokens"',
      '"x"',
    ],
    [
      {
        post_processor: {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: 'x' } }, { Sequence: { id: 'A' } }],
          special_tokens: { x: { ids: [1e6] } },
        },
      },
      '"post_processor.special_tokens"',
      '1000000',
    ],
    [{ decoder: { type: 'WordPiece' } }, '"decoder.type"', '"WordPiece"'],
    [decoders({ type: 'Fuse' }, { type: 'ByteFallback' }), `${DECODER}type"`],
    [decoders({ type: 'Fuse' }, METASPACE), `${DECODER}type"`],
    [decoders({ type: 'Fuse' }, spaces), `${DECODER}pattern"`],
    [decoders({ type: 'Fuse' }, { type: 'Strip', content: ' ', start: 0, stop: 1 }), `${DECODER}stop"`],
    [decoders({ type: 'Fuse' }, BYTES), `${DECODER}type"`, '"ByteLevel"'],
  ])('%j', (changes, ...parts) => {
    const shape = shapes.find(({ name }) => name === 'gpt2')!;
    expect(() => tokenizerFromJson(fileOf(shape, changes), 'there/tokenizer.json')).toThrow(
      failure('unsupported-format', 'there/tokenizer.json', ...parts),
    );
  });

  test.each([
    [{ unk_token: null }, '"model.unk_token"'],
    [{ unk_token: 'none' }, '"model.unk_token"'],
    [{ end_of_word_suffix: '</w>' }, '"model.end_of_word_suffix"'],
    [{ continuing_subword_prefix: '##' }, '"model.continuing_subword_prefix"'],
  ])('model options %j', (options, field) => {
    const shape = shapes.find(({ name }) => name === 'unknown characters')!;
    const changed = { ...shape, options: { ...shape.options, ...options } };
    expect(() => tokenizerFromJson(fileOf(changed))).toThrow(failure('unsupported-format', field));
  });
});

describe('the time for a pattern is bounded', () => {
  const withPattern = (source: string): Tokenizer =>
    tokenizerFromJson(
      fileOf(
        shapes.find(({ name }) => name === 'gpt4')!,
        {
          pre_tokenizer: {
            type: 'Sequence',
            pretokenizers: [
              { type: 'Split', pattern: { Regex: source }, behavior: 'Isolated', invert: false },
              { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false },
            ],
          },
        },
      ),
    );

  test('nested repetitions, which take a backtracking engine exponential time, take linear time', () => {
    const tokenizer = withPattern('(a+)+b|(a|aa)+c|a');
    expect(encode(tokenizer, `${'a'.repeat(40)} `).length).toBeGreaterThan(20);
  });

  test('a text that a pattern reads again and again is refused', () => {
    const tokenizer = withPattern('a+b|a');
    expect(() => encode(tokenizer, 'a'.repeat(100_000))).toThrow(
      failure('unsupported-format', '"pre_tokenizer.pretokenizers[0].pattern"'),
    );
  });

  test('a run of white space is no such text for the patterns of known tokenizers', () => {
    const blank = `\n${' '.repeat(20_000)}`.repeat(3);
    for (const name of ['gpt4', 'gpt4o', 'llama3', 'qwen2', 'deepseek', 'smollm'])
      expect(encode(read(shapes.find((shape) => shape.name === name)!), blank).length).toBeGreaterThan(10);
  });
});

test('a prompt has what comes before a text, but not what ends it', () => {
  const tokenizer = read(shapes.find(({ name }) => name === 'bos and eos')!);
  const [first, ...rest] = encode(tokenizer, 'the');
  expect(tokenizer.decode([first])).toBe('<s>');
  expect(tokenizer.decode(rest)).toBe('the</s>');
  expect([...encodePrompt(tokenizer, 'the', 'error').ids]).toEqual([first, ...rest.slice(0, -1)]);
  expect(
    tokenizer.decode(
      startOfText({ ...tokenizer, special: { ...tokenizer.special, startId: undefined } }).ids,
    ),
  ).toBe('\n');
});

test('unknown text is reported with its position, once for each unknown token', () => {
  for (const name of ['unknown text fused', 'unknown characters']) {
    const tokenizer = read(shapes.find((shape) => shape.name === name)!);
    const found: [string, number][] = [];
    const ids = encode(tokenizer, 'the 東京🐋 the <unk> é東', ({ text, position }) =>
      found.push([text, position]),
    );
    expect(found.length).toBe(ids.filter((id) => id === tokenizer.unkId).length);
    expect(found.map(([text]) => text).join('')).toBe('東京🐋<unk>東');
  }
});

test('a text that continues another keeps the space of its first token', () => {
  const tokenizer = read(shapes.find(({ name }) => name === 'llama2')!);
  const ids = [...encode(tokenizer, 'the sea')].slice(1);
  expect(tokenizer.decode(ids)).toBe('the sea');
  const decoder = tokenizer.decoder(true);
  expect(decoder.push(ids) + decoder.end()).toBe(' the sea');
  expect(ids.map((id) => tokenizer.vocabulary[id]).join('')).toBe(' the sea');
});
