/** Tokenizers of open models as llama.cpp has them. test/interop/test_open_export.py runs llama.cpp itself on real ones. */
import { splittingRule } from '../../src/export/splitting-rules.ts';
import { array, assert, constantFrom, property } from 'fast-check';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { llamaVocabulary } from '../../src/export/llama-vocabulary.ts';
import { tokenizerFromJson } from '../../src/tokenizer/registry.ts';
import { noSettings } from '../../src/tokenizer/tokenizer-settings.ts';
import { encode, type Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { failure } from '../fixtures/failure.ts';

interface Shape {
  readonly name: string;
  readonly model: 'bytes' | 'characters';
  readonly steps: Readonly<Record<string, unknown>>;
  readonly options: Readonly<Record<string, unknown>>;
}
type Json = Readonly<Record<string, unknown>>;
const { models, shapes } = JSON.parse(
  readFileSync(new URL('../fixtures/open_tokenizers.json', import.meta.url), 'utf8'),
) as { models: Readonly<Record<Shape['model'], Json>>; shapes: readonly Shape[] };

/** A token that ends texts, which llama.cpp requires. */
const END = { id: 800, content: '<end>', special: true };

/** @param change fields of "model" that differ */
function shaped(name: string, change: Json = {}): Tokenizer {
  const { model, steps, options } = shapes.find((shape) => shape.name === name)!;
  const { vocab } = models[model] as { vocab: Record<string, number> };
  const added = steps['added_tokens'] as readonly { id: number }[];
  const id = Math.max(...Object.values(vocab), ...added.map((each) => each.id)) + 1;
  const file = {
    ...steps,
    added_tokens: [...added, { ...END, id }],
    model: { ...options, ...models[model], ...change },
  };
  return read(file);
}

const read = (file: Json): Tokenizer =>
  tokenizerFromJson(JSON.stringify(file), 'tokenizer.json', { ...noSettings, roles: { eos_token: '<end>' } });

const ruleOf = (tokenizer: Tokenizer): unknown => llamaVocabulary(tokenizer).metadata['tokenizer.ggml.pre'];

test.each([
  ['gpt2', 'gpt-2'],
  ['gpt2 as a pattern', 'gpt-2'],
  ['smollm', 'smollm'],
  ['qwen2', 'qwen2'],
  ['llama3', 'llama-bpe'],
])('text is split as by %s under the name %s', (shape, rule) => {
  expect(ruleOf(shaped(shape))).toBe(rule);
});

test('the rule says whether a piece that is a token is merged', () => {
  expect(ruleOf(shaped('llama3', { ignore_merges: false }))).toBe('smaug-bpe');
  expect(() => ruleOf(shaped('qwen2', { ignore_merges: true }))).toThrow(
    failure('unsupported-format', 'ignore_merges'),
  );
});

test('the token before each text is written, and that text is not normalized is said', () => {
  expect(llamaVocabulary(shaped('llama3')).metadata).toMatchObject({ 'tokenizer.ggml.add_bos_token': true });
  expect(llamaVocabulary(shaped('llama3')).warnings).toEqual([]);
  expect(llamaVocabulary(shaped('qwen2')).warnings).toEqual([expect.stringContaining('normalize')]);
});

test.each([
  'gpt4',
  'gpt4o',
  'deepseek',
  'digits in runs',
  'whole text',
  'NFD',
  'replaced',
  'pattern Isolated',
])('text split as by "%s" is refused', (shape) => {
  expect(() => ruleOf(shaped(shape))).toThrow(failure('unsupported-format', 'splits'));
});

test('tokens that are not written as bytes are refused', () => {
  const { steps } = shapes.find(({ name }) => name === 'gpt2 as a pattern')!;
  const { pretokenizers } = steps['pre_tokenizer'] as { pretokenizers: Json[] };
  const [split, bytes] = pretokenizers;
  const rule = (...sequence: Json[]) =>
    splittingRule({ pre_tokenizer: { type: 'Sequence', pretokenizers: sequence }, model: {} });
  expect(rule(split, bytes)).toBe('gpt-2');
  expect(rule(split)).toBe('no such pattern');
});

const LETTERS = ['▁', 'a', 'b', 'é'];
const BYTES = Array.from({ length: 256 }, (_, i) => `<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`);
const SPECIALS = ['<unk>', '<s>', '<end>'];

/** A tokenizer as Llama 2's: tokens in the order of their scores, and all merges that build them. */
function withScores(words: readonly string[], merges = allMerges([...LETTERS, ...words], words)): Tokenizer {
  const tokens = [...SPECIALS, ...BYTES, ...words, ...LETTERS];
  const { steps, options } = shapes.find(({ name }) => name === 'llama2')!;
  const added_tokens = SPECIALS.map((content, id) => ({ id, content, special: true }));
  const vocab = Object.fromEntries(tokens.map((token, id) => [token, id]));
  return read({ ...steps, added_tokens, model: { ...options, vocab, merges } });
}

const allMerges = (tokens: readonly string[], words: readonly string[]): string[][] =>
  words.flatMap((word) =>
    Array.from({ length: word.length - 1 }, (_, i) => [word.slice(0, i + 1), word.slice(i + 1)]).filter(
      (parts) => parts.every((part) => tokens.includes(part)),
    ),
  );

/** As llama.cpp does it: of neighbors that are a token together, those with the highest score first, then the leftmost. */
function joinedByScore(text: string, { metadata }: ReturnType<typeof llamaVocabulary>): number[] {
  const tokens = metadata['tokenizer.ggml.tokens'] as string[];
  const { float32s: scores } = metadata['tokenizer.ggml.scores'] as { float32s: number[] };
  const prefix = metadata['tokenizer.ggml.add_space_prefix'] === true ? '▁' : '';
  const symbols = Array.from(prefix + text.replaceAll(' ', '▁'));
  for (;;) {
    const found = symbols.slice(1).map((right, i) => {
      const id = tokens.indexOf(symbols[i] + right);
      return id < 0 ? -Infinity : scores[id];
    });
    const best = Math.max(...found);
    if (!(best > -Infinity)) break;
    const at = found.indexOf(best);
    symbols.splice(at, 2, symbols[at] + symbols[at + 1]);
  }
  return symbols.flatMap((symbol) => {
    const id = tokens.indexOf(symbol);
    return id >= 0 ? [id] : [...Buffer.from(symbol)].map((byte) => SPECIALS.length + byte);
  });
}

test('scores join what the merges join', () => {
  const words = ['aa', '▁a', 'ab', 'aab', '▁aab', 'ba', 'bab', '▁▁'];
  const tokenizer = withScores(words);
  const vocabulary = llamaVocabulary(tokenizer);
  const start = tokenizer.vocabulary.indexOf('<s>');
  const texts = array(constantFrom('a', 'b', ' ', 'é', 'x', '🐋'), { minLength: 1, maxLength: 12 });
  assert(
    property(texts, (characters) => {
      const text = characters.join('');
      expect([start, ...joinedByScore(text, vocabulary)]).toEqual([...encode(tokenizer, text)]);
    }),
    { numRuns: 300, seed: 1 },
  );
  expect(vocabulary.metadata).toMatchObject({
    'tokenizer.ggml.model': 'llama',
    'tokenizer.ggml.add_bos_token': true,
    'tokenizer.ggml.add_space_prefix': true,
  });
  const { int32s: types } = vocabulary.metadata['tokenizer.ggml.token_type'] as { int32s: number[] };
  expect(types.slice(0, 5)).toEqual([3, 3, 3, 6, 6]);
  expect(types.slice(-2)).toEqual([1, 1]);
});

test('merges that no scores express are refused', () => {
  const refusal = failure('unsupported-format', 'merges');
  expect(() => llamaVocabulary(withScores(['ab', 'aab'], [['a', 'b']]))).toThrow(refusal);
  const late = [
    ['a', 'a'],
    ['a', 'b'],
    ['aa', 'b'],
    ['b', 'a'],
    ['a', 'ab'],
  ];
  expect(() => llamaVocabulary(withScores(['aa', 'ab', 'aab', 'ba'], late))).toThrow(refusal);
  expect(() => llamaVocabulary(shaped('llama2'))).toThrow(refusal); // merges learned from text are not all that there are
});
