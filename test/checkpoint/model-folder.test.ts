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
import { modelFacts, writeModelDescription } from '../../src/checkpoint/model-folder.ts';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { safetensorsPieces } from '../../src/checkpoint/safetensors.ts';
import { writeFileAtomic } from '../../src/write-file.ts';
import { createCharTokenizer } from '../../src/tokenizer/char.ts';
import { config, tensorsOf, tokenizer } from './tiny-model.ts';
import { failure } from '../fixtures/failure.ts';
import { writeHostWeights } from '../fixtures/host-weights.ts';

const tensors = () => tensorsOf((k, i) => k + i / 8);
const empty = () => tensors().map((tensor) => ({ ...tensor, data: tensor.data.map(() => 0) }));

const root = mkdtempSync(join(tmpdir(), 'model-'));
const folder = join(root, 'm');
beforeEach(() => {
  rmSync(folder, { recursive: true, force: true });
  writeModelDescription(folder, config, tokenizer);
  writeHostWeights(folder, config, tensors(), { step: '9', ...modelFacts(config, tokenizer) });
});

test('a model round-trips', () => {
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
  ['narrow MLP, exact GELU, untied head', { nInner: 5, activation: 'gelu', tieWordEmbeddings: false }],
] as const)('config.json holds every field: %s', (_name, changes) => {
  const changed = { ...config, ...changes };
  expect(fromConfigJson(JSON.stringify(toConfigJson(changed, tokenizer)), 'x').config).toEqual(changed);
});

describe('a folder with mismatched files is refused, and the file is named', () => {
  const edit = (file: string, change: (json: Record<string, unknown>) => void): void => {
    const path = join(folder, file);
    const json = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    change(json);
    writeFileSync(path, JSON.stringify(json));
  };
  const rewrite = (change: (all: ReturnType<typeof tensors>) => ReturnType<typeof tensors>): void =>
    writeHostWeights(folder, config, change(tensors()), {});
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
  test.each<[string, () => void, unknown]>([
    ['no config', () => rmSync(join(folder, 'config.json')), failure('file-not-found', 'config.json')],
    [
      'no tokenizer',
      () => rmSync(join(folder, 'tokenizer.json')),
      failure('file-not-found', 'tokenizer.json'),
    ],
    [
      'no weights',
      () => rmSync(join(folder, 'model.safetensors')),
      failure('no-checkpoint', 'model.safetensors'),
    ],
    [
      'another architecture',
      () => edit('config.json', (c) => (c['model_type'] = 'mamba')),
      failure('unsupported-format', '"model_type"', '"mamba"'),
    ],
    [
      'another activation',
      () => edit('config.json', (c) => (c['activation_function'] = 'silu')),
      failure('unsupported-format', '"activation_function"', '"silu"'),
    ],
    [
      'an untied head',
      () => edit('config.json', (c) => (c['tie_word_embeddings'] = false)),
      failure('mismatched-files', '"lm_head.weight"', 'config.json'),
    ],
    [
      'another MLP',
      () => edit('config.json', (c) => (c['n_inner'] = 99)),
      failure('mismatched-files', '"h.0.mlp.c_fc.weight"', '[4,16]', 'config.json', '[4,99]'),
    ],
    [
      'a scale that is no truth value',
      () => edit('config.json', (c) => (c['scale_attn_by_inverse_layer_idx'] = 2)),
      failure('unsupported-format', '"scale_attn_by_inverse_layer_idx"', '2'),
    ],
    [
      'names that torch.compile made',
      () => rewriteNames((name) => `_orig_mod.transformer.${name}`),
      failure('unsupported-format', '"_orig_mod."', 'torch.compile'),
    ],
    [
      'names that DistributedDataParallel made',
      () => rewriteNames((name) => `module.transformer.${name}`),
      failure('unsupported-format', '"module."', 'DistributedDataParallel'),
    ],
    [
      'names that PEFT made',
      () => rewriteNames((name) => `base_model.model.transformer.${name}`),
      failure('unsupported-format', '"base_model.model."', 'PEFT'),
    ],
    [
      'a text for a number',
      () => edit('config.json', (c) => (c['n_embd'] = '4')),
      failure('damaged-file', '"n_embd"', '"4"'),
    ],
    [
      'heads that do not divide',
      () => edit('config.json', (c) => (c['n_head'] = 3)),
      failure('unsupported-format', '"n_head"', '3', '"n_embd"', '4'),
    ],
    [
      'a vocabulary of another size',
      () => edit('config.json', (c) => (c['vocab_size'] = 4)),
      failure('mismatched-files', 'vocab_size', '4', '3'),
    ],
    [
      'another shape',
      () => edit('config.json', (c) => (c['n_positions'] = 5)),
      failure('mismatched-files', '"wpe.weight"', '[4,4]', 'config.json', '[5,4]'),
    ],
    [
      'other heads',
      () => edit('config.json', (c) => (c['n_head'] = 1)),
      failure('mismatched-files', 'n_head', '1', 'model.safetensors'),
    ],
    [
      'another epsilon',
      () => edit('config.json', (c) => (c['layer_norm_epsilon'] = 1e-6)),
      failure(
        'mismatched-files',
        'config.json',
        'layer_norm_epsilon',
        '0.000001',
        'model.safetensors',
        '"0.00001"',
      ),
    ],
    [
      'another vocabulary of the same size',
      () =>
        writeFileSync(
          join(folder, 'tokenizer.json'),
          JSON.stringify(createCharTokenizer(['a', 'c', '<unk>']).toJSON()),
        ),
      failure('mismatched-files', 'tokenizer.json', 'model.safetensors'),
    ],
    [
      'a newer version',
      () =>
        edit('config.json', (c) => Object.assign(c, { gpt_trainer_format: 2, position_embedding: 'rotary' })),
      failure('newer-version', 'config.json', '2', '1'),
    ],
    [
      'more layers than there are',
      () => edit('config.json', (c) => (c['n_layer'] = 1000)),
      failure('mismatched-files', '16', 'config.json', '1000'),
    ],
    [
      'a billion layers',
      () => edit('config.json', (c) => (c['n_layer'] = 1e9)),
      failure('unsupported-format', '"n_layer"', '1000000000', '1000'),
    ],
    ['a tensor under both its names', twice, failure('damaged-file', '"wte.weight"')],
    [
      'a folder for a file',
      () => (rmSync(join(folder, 'config.json')), mkdirSync(join(folder, 'config.json'))),
      failure('wrong-file-kind'),
    ],
    [
      'an enormous config',
      () => truncateSync(join(folder, 'config.json'), 5e9),
      failure('file-too-large', '5000000000', '1000000'),
    ],
    [
      'no text',
      () => writeFileSync(join(folder, 'config.json'), Buffer.from([0x7b, 0xff])),
      failure('not-text', 'UTF-8'),
    ],
    [
      'a field twice',
      () => writeFileSync(join(folder, 'config.json'), '{"n_head":1,"n_head":2}'),
      failure('damaged-file', '"n_head"'),
    ],
    [
      'deep nesting',
      () => writeFileSync(join(folder, 'config.json'), `{"n_head":${'['.repeat(9e5)}`),
      failure('damaged-file', '100'),
    ],
    [
      'a list for a number',
      () => edit('config.json', (c) => (c['n_layer'] = [[]])),
      failure('damaged-file', '"n_layer"', '[[]]'),
    ],
    ['a missing tensor', () => rewrite((all) => all.slice(1)), failure('mismatched-files', '"wte.weight"')],
    [
      'one too many',
      () => rewrite((all) => [...all, { name: 'h.7.x', shape: [1], data: Float32Array.of(1) }]),
      failure('mismatched-files', '"h.7.x"'),
    ],
    ['a head of its own', () => lmHead(1), failure('mismatched-files')],
    ['the same head again', () => lmHead(0), undefined],
  ])('%s', (_name, damage, expected) => {
    damage();
    const open = (): void => openModelFolder(folder).load(empty());
    if (expected === undefined) open();
    else expect(open).toThrow(expected);
  });
  test('a folder that does not exist', () => {
    expect(() => openModelFolder(join(root, 'nowhere'))).toThrow(failure('file-not-found'));
  });
});

const editConfig = (changes: Record<string, unknown>): void => {
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...changes }));
};

test('biases that are absent from all layers are read as zeros', () => {
  writeHostWeights(
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

test('unscaled attention scores are read as scaled ones with queries √D times as large', () => {
  writeHostWeights(folder, config, tensors(), {});
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
  writeHostWeights(folder, config, tensors(), {});
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
  test('are read as one model', () => {
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
    expect(() => openModelFolder(join(root, 'elsewhere/abc123'))).toThrow(failure('symbolic-link'));
  });
  test.each<[string, () => void, unknown]>([
    ['a missing file', () => (split(), rmSync(join(folder, shard(2)))), failure('file-not-found', shard(2))],
    [
      'a tensor in no file',
      () => split((map) => (map['x'] = shard(1))),
      failure('mismatched-files', shard(1), '"x"'),
    ],
    [
      'a tensor in another file',
      () => split((map) => (map[wte] = shard(2))),
      failure('mismatched-files', shard(2)),
    ],
    ['a tensor that is not listed', () => split((map) => delete map[wte]), failure('mismatched-files')],
    [
      'a path',
      () => split((map) => (map[wte] = '../x.safetensors')),
      failure('damaged-file', '"../x.safetensors"'),
    ],
    [
      '201 files',
      () =>
        split((map) => {
          for (let i = 0; i < 201; i++) map[`x${i}`] = `${i}.safetensors`;
        }),
      failure('damaged-file', '200'),
    ],
    [
      'a link out of the folder',
      () => {
        split();
        renameSync(join(folder, shard(1)), join(root, 'outside.safetensors'));
        symlinkSync(join(root, 'outside.safetensors'), join(folder, shard(1)));
      },
      failure('symbolic-link'),
    ],
  ])('%s is refused', (_name, damage, expected) => {
    damage();
    expect(() => openModelFolder(folder)).toThrow(expected);
  });
});
