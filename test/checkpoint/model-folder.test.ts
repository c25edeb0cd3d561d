import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { fromConfigJson, toConfigJson } from '../../src/checkpoint/huggingface.ts';
import {
  modelFacts,
  openModelFolder,
  writeModelDescription,
  writeWeights,
} from '../../src/checkpoint/model-folder.ts';
import { safetensorsPieces } from '../../src/checkpoint/safetensors.ts';
import { writeFileAtomic } from '../../src/checkpoint/atomic.ts';
import { createCharTokenizer } from '../../src/tokenizer/char.ts';
import { config, tensorsOf, tokenizer } from './tiny-model.ts';

const tensors = () => tensorsOf((k, i) => k + i / 8);
const empty = () => tensors().map((tensor) => ({ ...tensor, data: tensor.data.map(() => 0) }));

const root = mkdtempSync(join(tmpdir(), 'model-'));
const folder = join(root, 'm');
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  writeModelDescription(folder, config, tokenizer);
  writeWeights(folder, tensors(), { step: '9', ...modelFacts(config, tokenizer) });
});

test('what is written is read', () => {
  const model = openModelFolder(folder);
  expect(model.config).toEqual(config);
  expect(model.tokenizer.vocabulary).toEqual(tokenizer.vocabulary);
  expect(model.metadata['step']).toBe('9');
  const into = empty();
  model.load(into);
  expect(into).toEqual(tensors());
});

test.each([
  ['post-LN', { norm: 'post' }],
  ['sinusoidal', { positions: 'sinusoidal', activation: 'relu' }],
] as const)('config.json holds every field: %s', (_name, changes) => {
  const changed = { ...config, ...changes };
  expect(fromConfigJson(JSON.stringify(toConfigJson(changed, tokenizer)), 'x')).toEqual(changed);
});

describe('a folder that does not fit together is refused by name', () => {
  const edit = (file: string, change: (json: Record<string, unknown>) => void): void => {
    const path = join(folder, file);
    const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    change(json);
    writeFileSync(path, JSON.stringify(json));
  };
  const rewrite = (change: (all: ReturnType<typeof tensors>) => ReturnType<typeof tensors>): void =>
    writeWeights(folder, change(tensors()), {});
  const lmHead = (value: number): void => {
    const named = tensors().map((t) => ({ ...t, name: `transformer.${t.name}` }));
    const wte = named[0];
    const head = { ...wte, name: 'lm_head.weight', data: wte.data.map((x) => x + value) };
    writeFileAtomic(join(folder, 'model.safetensors'), safetensorsPieces([...named, head], {}));
  };
  const twice = (): void => {
    const [wte] = tensors();
    const pieces = safetensorsPieces([wte, { ...wte, name: 'transformer.wte.weight' }], {});
    writeFileAtomic(join(folder, 'model.safetensors'), pieces);
  };
  test.each<[string, () => void, string | undefined]>([
    ['no config', () => rmSync(join(folder, 'config.json')), 'has no config.json'],
    ['no tokenizer', () => rmSync(join(folder, 'tokenizer.json')), 'has no tokenizer.json'],
    ['no weights', () => rmSync(join(folder, 'model.safetensors')), 'has no model.safetensors'],
    [
      'another architecture',
      () => edit('config.json', (c) => (c['model_type'] = 'llama')),
      '"model_type" is "llama"',
    ],
    [
      'another activation',
      () => edit('config.json', (c) => (c['activation_function'] = 'silu')),
      '"activation_function" is "silu"',
    ],
    [
      'an untied head',
      () => edit('config.json', (c) => (c['tie_word_embeddings'] = false)),
      '"tie_word_embeddings" is false',
    ],
    ['another MLP', () => edit('config.json', (c) => (c['n_inner'] = 99)), '"n_inner" is 99'],
    [
      'scaled attention',
      () => edit('config.json', (c) => (c['scale_attn_by_inverse_layer_idx'] = true)),
      'scale_attn_by_inverse_layer_idx',
    ],
    [
      'a text for a number',
      () => edit('config.json', (c) => (c['n_embd'] = '4')),
      '"n_embd" is "4", not a whole number of at least 1',
    ],
    [
      'heads that do not divide',
      () => edit('config.json', (c) => (c['n_head'] = 3)),
      '"n_head" is 3, which does not divide "n_embd", 4',
    ],
    [
      'a vocabulary of another size',
      () => edit('config.json', (c) => (c['vocab_size'] = 4)),
      'vocab_size of 4, its tokenizer has 3',
    ],
    [
      'another shape',
      () => edit('config.json', (c) => (c['n_positions'] = 5)),
      '"wpe.weight" has the shape [4,4], config.json asks for [5,4]',
    ],
    [
      'other heads',
      () => edit('config.json', (c) => (c['n_head'] = 1)),
      'has the n_head 1, model.safetensors was',
    ],
    [
      'another epsilon',
      () => edit('config.json', (c) => (c['layer_norm_epsilon'] = 1e-6)),
      'config.json has the layer_norm_epsilon 0.000001, model.safetensors was trained with "0.00001"',
    ],
    [
      'another vocabulary of the same size',
      () =>
        writeFileSync(
          join(folder, 'tokenizer.json'),
          JSON.stringify(createCharTokenizer(['a', 'c', '<unk>']).toJSON()),
        ),
      'tokenizer.json is not the one that model.safetensors was trained with',
    ],
    [
      'a newer version',
      () =>
        edit('config.json', (c) => Object.assign(c, { gpt_trainer_format: 2, position_embedding: 'rotary' })),
      'config.json: is from a newer version of gpt (format 2; this one reads 1)',
    ],
    [
      'more layers than there are',
      () => edit('config.json', (c) => (c['n_layer'] = 1000)),
      'has 16 tensors, config.json asks for 1000 layers of 12',
    ],
    [
      'a billion layers',
      () => edit('config.json', (c) => (c['n_layer'] = 1e9)),
      '"n_layer" is 1000000000; at most 1000 are supported',
    ],
    ['a tensor under both its names', twice, 'has the tensor "wte.weight" twice'],
    [
      'a folder for a file',
      () => (rmSync(join(folder, 'config.json')), mkdirSync(join(folder, 'config.json'))),
      'is a folder, not a file',
    ],
    [
      'an enormous config',
      () => truncateSync(join(folder, 'config.json'), 5e9),
      'has 5000000000 bytes; at most 1000000 are read',
    ],
    [
      'no text',
      () => writeFileSync(join(folder, 'config.json'), Buffer.from([0x7b, 0xff])),
      'is not UTF-8 text',
    ],
    [
      'a field twice',
      () => writeFileSync(join(folder, 'config.json'), '{"n_head":1,"n_head":2}'),
      'has the name "n_head" twice in one object',
    ],
    [
      'deep nesting',
      () => writeFileSync(join(folder, 'config.json'), `{"n_head":${'['.repeat(9e5)}`),
      'is JSON nested more than 100 deep',
    ],
    [
      'a list for a number',
      () => edit('config.json', (c) => (c['n_layer'] = [[]])),
      '"n_layer" is [[]], not a whole number',
    ],
    ['a missing tensor', () => rewrite((all) => all.slice(1)), 'lacks the tensor "wte.weight"'],
    [
      'one too many',
      () => rewrite((all) => [...all, { name: 'h.7.x', shape: [1], data: Float32Array.of(1) }]),
      'has the tensor "h.7.x"',
    ],
    ['a head of its own', () => lmHead(1), 'differs from the token embedding'],
    ['the same head again', () => lmHead(0), undefined],
  ])('%s', (_name, damage, message) => {
    damage();
    const open = (): void => openModelFolder(folder).load(empty());
    if (message === undefined) open();
    else expect(open).toThrow(message);
  });
  test('no folder at all', () => {
    expect(() => openModelFolder(join(root, 'nowhere'))).toThrow('there is no model folder');
  });
});
