import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
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
import { writeFileAtomic } from '../../src/write-file.ts';
import { createCharTokenizer } from '../../src/tokenizer/char.ts';
import { config, tensorsOf, tokenizer } from './tiny-model.ts';

const tensors = () => tensorsOf((k, i) => k + i / 8);
const empty = () => tensors().map((tensor) => ({ ...tensor, data: tensor.data.map(() => 0) }));

const root = mkdtempSync(join(tmpdir(), 'model-'));
const folder = join(root, 'm');
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  writeModelDescription(folder, config, tokenizer);
  writeWeights(folder, config, tensors(), { step: '9', ...modelFacts(config, tokenizer) });
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
  [
    'a narrow MLP, exact GELU, a head of its own',
    { nInner: 5, activation: 'gelu', tieWordEmbeddings: false },
  ],
] as const)('config.json holds every field: %s', (_name, changes) => {
  const changed = { ...config, ...changes };
  expect(fromConfigJson(JSON.stringify(toConfigJson(changed, tokenizer)), 'x').config).toEqual(changed);
});

describe('a folder that does not fit together is refused by name', () => {
  const edit = (file: string, change: (json: Record<string, unknown>) => void): void => {
    const path = join(folder, file);
    const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    change(json);
    writeFileSync(path, JSON.stringify(json));
  };
  const rewrite = (change: (all: ReturnType<typeof tensors>) => ReturnType<typeof tensors>): void =>
    writeWeights(folder, config, change(tensors()), {});
  const lmHead = (value: number): void => {
    const named = tensors().map((t) => ({ ...t, name: `transformer.${t.name}` }));
    const wte = named[0];
    const head = { ...wte, name: 'lm_head.weight', data: wte.data.map((x) => x + value) };
    writeFileAtomic(join(folder, 'model.safetensors'), safetensorsPieces([...named, head], {}));
  };
  const rewriteNames = (rename: (name: string) => string): void => {
    const named = tensors().map((t) => ({ ...t, name: rename(t.name) }));
    writeFileAtomic(join(folder, 'model.safetensors'), safetensorsPieces(named, {}));
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
      'lacks the tensor "lm_head.weight" that config.json asks for',
    ],
    [
      'another MLP',
      () => edit('config.json', (c) => (c['n_inner'] = 99)),
      '"h.0.mlp.c_fc.weight" has the shape [4,16], config.json asks for [4,99]',
    ],
    [
      'a scale that is no truth value',
      () => edit('config.json', (c) => (c['scale_attn_by_inverse_layer_idx'] = 2)),
      '"scale_attn_by_inverse_layer_idx" is 2; supported: false, true',
    ],
    [
      'names that torch.compile made',
      () => rewriteNames((name) => `_orig_mod.transformer.${name}`),
      'the tensors\' names start with "_orig_mod.", which torch.compile adds',
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
      'has 16 tensors, config.json asks for 1000 layers',
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

const editConfig = (changes: Record<string, unknown>): void => {
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...changes }));
};

test('biases that no layer has are zeros', () => {
  writeWeights(
    folder,
    config,
    tensors().filter(({ name }) => !name.endsWith('.bias')),
    {},
  );
  const into = tensors();
  openModelFolder(folder).load(into);
  for (const [i, { name, data }] of into.entries())
    expect(data, name).toEqual(name.endsWith('.bias') ? data.map(() => 0) : tensors()[i].data);
});

test('attention scores that are not divided by √D are, with queries √D times as large', () => {
  writeWeights(folder, config, tensors(), {});
  editConfig({ scale_attn_weights: false, reorder_and_upcast_attn: true });
  const into = empty();
  openModelFolder(folder).load(into);
  const [weight, before] = [into, tensors()].map(
    (all) => all.find((t) => t.name === 'h.0.attn.c_attn.weight')!.data,
  );
  const isQuery = (i: number): boolean => i % 12 < 4;
  expect(weight).toEqual(before.map((x, i) => (isQuery(i) ? x * Math.SQRT2 : x)));
});

test.each([
  ['gelu_pytorch_tanh', 'gelu_new'],
  ['gelu_fast', 'gelu_new'],
  ['gelu', 'gelu'],
])('the activation %s is %s here', (theirs, ours) => {
  writeWeights(folder, config, tensors(), {});
  editConfig({ activation_function: theirs });
  expect(openModelFolder(folder).config).toMatchObject({ activation: ours });
});

describe('weights in several files', () => {
  const all = () => tensors().map((t) => ({ ...t, name: `transformer.${t.name}` }));
  const shard = (n: number): string => `model-0000${n}-of-00002.safetensors`;
  const split = (change: (map: Record<string, string>) => void = () => {}): void => {
    rmSync(join(folder, 'model.safetensors'));
    const map: Record<string, string> = {};
    for (const n of [1, 2]) {
      const part = all().filter((_, i) => i % 2 === n - 1);
      for (const { name } of part) map[name] = shard(n);
      writeFileAtomic(join(folder, shard(n)), safetensorsPieces(part, {}));
    }
    change(map);
    writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: map }));
  };
  const wte = 'transformer.wte.weight';
  test('are read as one', () => {
    split();
    const into = empty();
    openModelFolder(folder).load(into);
    expect(into).toEqual(tensors());
  });
  test('are read from the cache of the Hugging Face hub, where they are links to blobs/', () => {
    split();
    const [snapshots, blobs] = [join(root, 'hub/snapshots'), join(root, 'hub/blobs')];
    for (const path of [snapshots, blobs]) mkdirSync(path, { recursive: true });
    for (const n of [1, 2]) {
      renameSync(join(folder, shard(n)), join(blobs, `hash${n}`));
      symlinkSync(`../../blobs/hash${n}`, join(folder, shard(n)));
    }
    const snapshot = join(snapshots, 'abc123');
    renameSync(folder, snapshot);
    const into = empty();
    openModelFolder(snapshot).load(into);
    expect(into).toEqual(tensors());
    // The same links in a folder that is not part of such a cache.
    mkdirSync(join(root, 'elsewhere'));
    renameSync(snapshot, join(root, 'elsewhere/abc123'));
    renameSync(blobs, join(root, 'blobs'));
    expect(() => openModelFolder(join(root, 'elsewhere/abc123'))).toThrow(
      'is a link out of the model folder',
    );
  });
  test.each<[string, () => void, string]>([
    ['a missing file', () => (split(), rmSync(join(folder, shard(2)))), `${shard(2)} is missing, which`],
    ['a tensor in no file', () => split((map) => (map['x'] = shard(1))), `${shard(1)} lacks the tensor "x"`],
    ['a tensor in another file', () => split((map) => (map[wte] = shard(2))), `expects in ${shard(2)}`],
    ['a tensor that is not listed', () => split((map) => delete map[wte]), 'does not list'],
    [
      'a path',
      () => split((map) => (map[wte] = '../x.safetensors')),
      '"../x.safetensors", not a safetensors file beside it',
    ],
    [
      '201 files',
      () =>
        split((map) => {
          for (let i = 0; i < 201; i++) map[`x${i}`] = `${i}.safetensors`;
        }),
      'at most 200 are read',
    ],
    [
      'a link out of the folder',
      () => {
        split();
        renameSync(join(folder, shard(1)), join(root, 'outside.safetensors'));
        symlinkSync(join(root, 'outside.safetensors'), join(folder, shard(1)));
      },
      'is a link out of the model folder',
    ],
  ])('%s is refused', (_name, damage, message) => {
    damage();
    expect(() => openModelFolder(folder)).toThrow(message);
  });
});
