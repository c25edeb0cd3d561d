import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { modelFacts, writeModelDescription } from '../../src/checkpoint/model-folder.ts';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { readTokenizer } from '../../src/checkpoint/tokenizer-files.ts';
import { encodePrompt, startOfText } from '../../src/generate/prompt.ts';
import { parameterTable } from '../../src/model/parameters.ts';
import { bpeVocabulary } from '../../src/tokenizer/bpe.ts';
import { createCharTokenizer } from '../../src/tokenizer/char.ts';
import { encode, padded, withoutEnds, type Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { config as tinyConfig } from './tiny-model.ts';
import { failure } from '../fixtures/failure.ts';
import { writeHostWeights } from '../fixtures/host-weights.ts';

const root = mkdtempSync(join(tmpdir(), 'special-'));
const folder = join(root, 'm');
afterAll(() => rmSync(root, { recursive: true }));

const bpe = bpeVocabulary({ minFrequency: 1, maxSize: 260 });
bpe.push('ab ab');
const tokenizer = bpe.end(); // 258 tokens and <|endoftext|>, 258

function write(of: Tokenizer, rows = of.vocabSize): void {
  rmSync(folder, { recursive: true, force: true });
  const config = { ...tinyConfig, vocabSize: rows };
  writeModelDescription(folder, config, of);
  const tensors = parameterTable(config).map(({ name, shape }) => ({
    name,
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
  }));
  writeHostWeights(folder, config, tensors, modelFacts(config, of));
}

const set = (file: string, change: Record<string, unknown>): void => {
  const path = join(folder, file);
  const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
  writeFileSync(path, JSON.stringify({ ...json, ...change }));
};
const special = () => openModelFolder(folder).tokenizer.special;

beforeEach(() => write(tokenizer));

describe('where generation starts and ends', () => {
  test('a bpe model starts and ends at <|endoftext|>', () => {
    expect(special()).toMatchObject({ startId: 258, endIds: new Set([258]) });
    expect([...startOfText(tokenizer).ids]).toEqual([258]);
    expect(withoutEnds(tokenizer).special).toMatchObject({ startId: 258, endIds: new Set() });
  });

  test('a char model starts at a line break and has no end token, although <unk> has the roles', () => {
    const char = createCharTokenizer(['a', '\n', 'b', '<unk>']);
    write(char);
    expect(special()).toMatchObject({ startId: undefined, endIds: new Set() });
    expect([...startOfText(openModelFolder(folder).tokenizer).ids]).toEqual([1]);
    const read = (file: string): unknown => JSON.parse(readFileSync(join(folder, file), 'utf8'));
    expect(read('config.json')).toMatchObject({ bos_token_id: null, eos_token_id: null });
    expect(read('generation_config.json')).toEqual({ do_sample: true, max_length: tinyConfig.blockSize });
    const roles = { unk_token: '<unk>', bos_token: '<unk>', eos_token: '<unk>' };
    expect(read('tokenizer_config.json')).toMatchObject(roles);
    // As transformers' Trainer would have it.
    set('config.json', { bos_token_id: 3, eos_token_id: [3] });
    expect(special()).toMatchObject({ startId: undefined, endIds: new Set() });
  });

  test.each<[string, Record<string, unknown>, Record<string, unknown>, number[]]>([
    ['generation_config.json goes first', { eos_token_id: 5 }, { eos_token_id: 6 }, [5]],
    ['a list', { eos_token_id: [5, 7] }, {}, [5, 7]],
    ['then config.json', { eos_token_id: undefined }, { eos_token_id: [6, 8] }, [6, 8]],
    ['null is none', { eos_token_id: null }, { eos_token_id: 6 }, []],
    ['then eos_token', { eos_token_id: undefined }, { eos_token_id: undefined }, [258]],
    [
      'a default beyond the vocabulary says nothing',
      { eos_token_id: undefined },
      { eos_token_id: 50256 },
      [258],
    ],
  ])('%s', (_name, generation, config, ends) => {
    set('generation_config.json', generation);
    set('config.json', config);
    expect([...special().endIds]).toEqual(ends);
  });

  test.each<[unknown, unknown]>([
    ['5', failure('damaged-file', '"eos_token_id"', '"5"')],
    [[-1], failure('damaged-file', '"eos_token_id"', '[-1]')],
  ])('%j is refused', (value, expected) => {
    set('generation_config.json', { eos_token_id: value });
    expect(special).toThrow(expected);
    expect(special).toThrow(failure('damaged-file', 'generation_config.json'));
  });

  test('an eos_token_id that the tokenizer lacks is refused', () => {
    write(padded(tokenizer, 300), 300);
    set('generation_config.json', { eos_token_id: 259 });
    expect(special).toThrow(failure('mismatched-files', '"eos_token_id"', '259'));
  });
});

describe('tokenizer_config.json', () => {
  test('a token that only has a role gets the next id, where the embedding has a row for it', () => {
    write(padded(tokenizer, 300), 300);
    set('tokenizer_config.json', { pad_token: '[PAD]' });
    const read = readTokenizer(folder, 300);
    expect([...encode(read, 'a[PAD]')]).toEqual([64, 259]);
    expect(read.special.roles['pad_token']).toBe('[PAD]');
    write(tokenizer);
    set('tokenizer_config.json', { pad_token: { content: '[PAD]' } });
    expect(special).toThrow(failure('mismatched-files', '"[PAD]"'));
  });

  test('a space or a token in front of each text survives the round trip', () => {
    set('tokenizer_config.json', { tokenizer_class: 'GPT2Tokenizer', add_prefix_space: true });
    const spaced = openModelFolder(folder).tokenizer;
    expect(spaced.decode(encode(spaced, 'ab<|endoftext|>ab'))).toBe(' ab<|endoftext|> ab');
    write(spaced);
    const again = openModelFolder(folder).tokenizer;
    expect([...encode(again, 'ab')]).toEqual([...encode(spaced, 'ab')]);
    const template = {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<|endoftext|>' } }, { Sequence: { id: 'A' } }],
      special_tokens: { '<|endoftext|>': { ids: [258] } },
    };
    set('tokenizer.json', { post_processor: template });
    const started = openModelFolder(folder).tokenizer;
    const encoder = started.encoder();
    expect([encoder.push('ab '), encoder.end()].flatMap((ids) => [...ids])[0]).toBe(258);
    expect([...encoder.push('b')].concat([...encoder.end()])[0]).toBe(258);
  });

  test('a tokenizer.json is saved byte for byte, unless another file changes what it means', () => {
    const path = join(folder, 'tokenizer.json');
    const text = ` ${readFileSync(path, 'utf8')}`;
    writeFileSync(path, text);
    write(openModelFolder(folder).tokenizer);
    expect(readFileSync(path, 'utf8')).toBe(text);
    set('tokenizer_config.json', { tokenizer_class: 'GPT2Tokenizer', add_prefix_space: true });
    write(openModelFolder(folder).tokenizer);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({
      pre_tokenizer: { add_prefix_space: true },
    });
    set('tokenizer_config.json', { pad_token: 'ab' });
    write(openModelFolder(folder).tokenizer);
    const written = JSON.parse(readFileSync(path, 'utf8')) as { added_tokens: unknown[] };
    expect(written.added_tokens.at(-1)).toMatchObject({ content: '<|endoftext|>' });
    expect(written.added_tokens[0]).toMatchObject({ content: 'ab', special: true });
  });

  test('weights belong to their tokenizer also after transformers has written it in another form', () => {
    const { model } = JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8')) as {
      model: { merges: string[]; unk_token?: unknown };
    };
    const { unk_token: _absent, ...rest } = model;
    set('tokenizer.json', { model: { ...rest, merges: model.merges.map((merge) => merge.split(' ')) } });
    expect(openModelFolder(folder).tokenizer.vocabSize).toBe(259);
    set('tokenizer.json', { model: { ...model, merges: model.merges.slice(1) } });
    expect(() => openModelFolder(folder)).toThrow(failure('mismatched-files', 'tokenizer.json'));
  });

  test.each<[Record<string, unknown>, unknown]>([
    [{ add_prefix_space: 'no' }, failure('unsupported-format', '"add_prefix_space"', '"no"')],
    [{ split_special_tokens: true }, failure('unsupported-format', '"split_special_tokens"')],
    [
      { added_tokens_decoder: { x: { content: 'a' } } },
      failure('unsupported-format', '"added_tokens_decoder"', '"x"'),
    ],
    [{ additional_special_tokens: [''] }, failure('unsupported-format', '"additional_special_tokens"', '""')],
  ])('%j is refused', (change, expected) => {
    set('tokenizer_config.json', change);
    expect(() => readTokenizer(folder)).toThrow(expected);
    expect(() => readTokenizer(folder)).toThrow(failure('unsupported-format', 'tokenizer_config.json'));
  });
});

test('a model folder with vocab.json and merges.txt instead of tokenizer.json has the same ids', () => {
  const path = join(folder, 'tokenizer.json');
  const { model } = JSON.parse(readFileSync(path, 'utf8')) as { model: { vocab: object; merges: string[] } };
  rmSync(path);
  expect(() => openModelFolder(folder)).toThrow(
    failure('file-not-found', 'tokenizer.json', 'vocab.json', 'merges.txt'),
  );
  writeFileSync(join(folder, 'vocab.json'), JSON.stringify(model.vocab));
  writeFileSync(join(folder, 'merges.txt'), ['#version: 0.2', ...model.merges, ''].join('\n'));
  const read = openModelFolder(folder).tokenizer;
  expect(read.special).toMatchObject({ startId: 258, endIds: new Set([258]) });
  expect([...encode(read, 'ab ab<|endoftext|>')]).toEqual([...encode(tokenizer, 'ab ab<|endoftext|>')]);
});

describe('a literal <unk>', () => {
  const char = createCharTokenizer(['a', 'b', '<unk>']);

  test('is that token in a prompt, not unknown text', () => {
    expect(encodePrompt(char, 'a<unk>b', 'error')).toEqual({ ids: Uint32Array.of(0, 2, 1), unknown: 0 });
    expect(encodePrompt(char, 'a<unk>xb', 'skip')).toEqual({ ids: Uint32Array.of(0, 2, 1), unknown: 1 });
    expect(() => encodePrompt(char, 'a<unk>xb', 'error')).toThrow(
      failure('not-in-vocabulary', '"x"', 'U+0078', 'position 7'),
    );
  });

  test('is five characters in folders older than the added token', () => {
    write(createCharTokenizer(['<', '>', 'a', 'k', 'n', 'u', '<unk>']));
    set('tokenizer.json', { added_tokens: [] });
    set('tokenizer_config.json', { bos_token: undefined, eos_token: undefined });
    expect([...encode(openModelFolder(folder).tokenizer, 'a<unk>')]).toEqual([2, 0, 5, 4, 3, 1]);
  });

  test('a vocabulary without <unk> encodes the text it covers, and names what it lacks', () => {
    write(createCharTokenizer(['a', 'b', '<unk>']), 3);
    const json = JSON.parse(readFileSync(join(folder, 'tokenizer.json'), 'utf8')) as {
      model: Record<string, unknown>;
      added_tokens: unknown[];
    };
    json.model['vocab'] = { a: 0, b: 1 };
    json.added_tokens = [];
    cpSync(join(folder, 'tokenizer.json'), join(root, 'tokenizer.json'));
    writeFileSync(join(root, 'tokenizer.json'), JSON.stringify(json));
    const bare = readTokenizer(join(root, 'tokenizer.json'));
    expect(bare.unkId).toBeUndefined();
    expect([...encode(bare, 'abba')]).toEqual([0, 1, 1, 0]);
    expect(() => encode(bare, 'abc')).toThrow(failure('not-in-vocabulary', '<unk>'));
    expect(() => encodePrompt(bare, 'abc', 'error')).toThrow(failure('not-in-vocabulary', '"c"'));
    expect([...encodePrompt(bare, 'abc', 'skip').ids]).toEqual([0, 1]);
  });
});
