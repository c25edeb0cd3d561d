import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { modelFacts, writeModelDescription } from '../../src/checkpoint/model-folder.ts';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { exportGguf, exportOllama } from '../../src/export/export-model.ts';
import { ggufModel } from '../../src/export/llama-cpp.ts';
import { suppressRows } from '../../src/export/output-head.ts';
import type { GgufDtype } from '../../src/export/quantization.ts';
import { llamaDefaults } from '../../src/model/architectures/llama-config.ts';
import { checkConfig } from '../../src/model/architectures/registry.ts';
import { parameterTable } from '../../src/model/parameters.ts';
import { hostTensor, type NamedTensor } from '../../src/model/tensor.ts';
import { noReport } from '../../src/reporting.ts';
import { padded } from '../../src/tokenizer/tokenizer.ts';
import { failure } from '../fixtures/failure.ts';
import { writeHostWeights } from '../fixtures/host-weights.ts';
import { openModels, writeOpenModel } from '../fixtures/open-models.ts';
import { tokenizerOf, writeModel } from '../fuzz/seeds.ts';
import { floatsOf, readGguf, type GgufFile } from './read-gguf.ts';

const folder = mkdtempSync(join(tmpdir(), 'export-'));
let files = 0;

function exported(model: string, dtype: GgufDtype = 'f32'): GgufFile {
  const output = join(folder, `${files++}.gguf`);
  exportGguf(openModelFolder(model), { dtype, output, force: false, report: noReport });
  return readGguf(output);
}

const parametersOf = (model: string): Map<string, Float32Array> => {
  const opened = openModelFolder(model);
  const tensors = parameterTable(opened.config).map(hostTensor);
  opened.load(tensors);
  return new Map(tensors.map(({ name, data }) => [name, data]));
};

/** A model of the Llama family whose query heads share key/value heads. */
function writeLlama(name: string, arch: 'llama' | 'qwen3', nEmbd = 16): string {
  const tokenizer = tokenizerOf('char');
  const { vocabSize } = tokenizer;
  const shape = {
    vocabSize,
    blockSize: 8,
    nLayer: 1,
    nHead: 2,
    nKvHead: 1,
    headSize: 8,
    nEmbd,
    nInner: 12,
    dropout: 0,
  };
  const config = checkConfig({ ...llamaDefaults, arch, ...shape });
  let k = 0;
  const tensors = parameterTable(config).map((parameter): NamedTensor => ({
    ...hostTensor(parameter),
    data: hostTensor(parameter).data.map(() => Math.sin(++k)),
  }));
  const model = join(folder, name);
  writeModelDescription(model, config, tokenizer);
  writeHostWeights(model, config, tensors, modelFacts(config, tokenizer));
  return model;
}

const gpt2 = join(folder, 'gpt2');
writeModel(gpt2, 'char');

describe('GPT-2', () => {
  test('has the names, keys and [out,in] weights of llama.cpp', () => {
    const file = exported(gpt2);
    const parameters = parametersOf(gpt2);
    expect(file.metadata).toMatchObject({
      'general.architecture': 'gpt2',
      'general.name': 'gpt2',
      'general.file_type': 0,
      'gpt2.context_length': 8,
      'gpt2.embedding_length': 8,
      'gpt2.block_count': 2,
      'gpt2.feed_forward_length': 32,
      'gpt2.attention.head_count': 2,
      'gpt2.attention.layer_norm_epsilon': Math.fround(1e-5),
    });
    expect(file.tensors.get('blk.1.ffn_up.weight')!.sizes).toEqual([8, 32]);
    const [up, stored] = [floatsOf(file, 'blk.1.ffn_up.weight'), parameters.get('h.1.mlp.c_fc.weight')!];
    for (let out = 0; out < 32; out++)
      for (let i = 0; i < 8; i++) expect(up[out * 8 + i]).toBe(stored[i * 32 + out]);
    expect(floatsOf(file, 'token_embd.weight')).toEqual(parameters.get('wte.weight'));
    expect(floatsOf(file, 'position_embd.weight')).toEqual(parameters.get('wpe.weight'));
    expect(floatsOf(file, 'blk.0.attn_output.bias')).toEqual(parameters.get('h.0.attn.c_proj.bias'));
    expect(file.tensors.size).toBe(parameters.size + 1); // the head, in which <unk> is suppressed
  });

  test('a tied head without tokens to suppress is not stored', () => {
    const bpe = join(folder, 'bpe');
    writeModel(bpe, 'bpe');
    expect(exported(bpe).tensors.has('output.weight')).toBe(false);
  });

  test('rows of padding are suppressed in the embedding itself', () => {
    const model = join(folder, 'padding');
    writeModel(model, 'bpe');
    const { config, tokenizer } = openModelFolder(model);
    const [known, rows] = [config.vocabSize, config.vocabSize + 2];
    const wider = { ...config, vocabSize: rows };
    const stored = new Map(
      parameterTable(wider).map((parameter) => [
        parameter.name,
        hostTensor(parameter).data.map((_, i) => Math.sin(i)),
      ]),
    );
    const source = { config: wider, tokenizer: padded(tokenizer, rows) };
    const weights = { read: (name: string) => stored.get(name)!.slice() };
    const { tensors } = ggufModel(source, { name: 'padding', dtype: 'f32', weights });
    expect(tensors.map(({ name }) => name)).not.toContain('output.weight');
    const embedding = tensors.find(({ name }) => name === 'token_embd.weight')!.read();
    const C = config.nEmbd;
    expect(embedding.subarray(0, known * C)).toEqual(stored.get('wte.weight')!.subarray(0, known * C));
    const mean = Array.from({ length: C }, (_, c) => {
      let sum = 0;
      for (let id = 0; id < known; id++) sum += embedding[id * C + c];
      return Math.fround(sum / known);
    });
    for (const id of [known, known + 1])
      expect(Array.from(embedding.subarray(id * C, (id + 1) * C))).toEqual(mean);
  });

  test.each([
    ['norm', { norm: 'post' }, 'post'],
    ['activation', { activation: 'gelu' }, 'gelu'],
    ['activation', { activation: 'relu' }, 'relu'],
  ] as const)('is refused with another %s: %o', (field, changes, value) => {
    const model = join(folder, `gpt2-${value}`);
    writeModel(model, 'char', changes);
    const output = join(folder, 'refused.gguf');
    expect(() =>
      exportGguf(openModelFolder(model), { dtype: 'f32', output, force: false, report: noReport }),
    ).toThrow(failure('unsupported-format', field, `"${value}"`));
    expect(existsSync(output)).toBe(false);
  });
});

describe('the Llama family', () => {
  test('llama.cpp rotates neighboring channels of llama, halves of a head of qwen3', () => {
    for (const arch of ['llama', 'qwen3'] as const) {
      const model = writeLlama(arch, arch);
      const file = exported(model);
      const parameters = parametersOf(model);
      for (const which of ['q', 'k']) {
        const rows = floatsOf(file, `blk.0.attn_${which}.weight`);
        const stored = parameters.get(`layers.0.self_attn.${which}_proj.weight`)!;
        const order = arch === 'llama' ? [0, 4, 1, 5, 2, 6, 3, 7] : [0, 1, 2, 3, 4, 5, 6, 7];
        for (let head = 0; head < rows.length / 128; head++)
          order.forEach((from, row) => {
            const [at, origin] = [head * 128 + row * 16, head * 128 + from * 16];
            expect(rows.slice(at, at + 16), `${arch} ${which} ${row}`).toEqual(
              stored.slice(origin, origin + 16),
            );
          });
      }
      expect(file.metadata).toMatchObject({
        [`${arch}.attention.head_count_kv`]: 1,
        [`${arch}.attention.key_length`]: 8,
        [`${arch}.rope.freq_base`]: 10_000,
        [`${arch}.attention.layer_norm_rms_epsilon`]: Math.fround(1e-6),
      });
      expect(file.tensors.has('blk.0.attn_q_norm.weight')).toBe(arch === 'qwen3');
    }
  });
});

describe('open models', () => {
  const written = (name: string, changes: object = {}): string => {
    const model = join(folder, `open-${files++}`);
    writeOpenModel(model, { ...openModels.models[name].config, ...changes });
    return model;
  };

  test('Mistral is a Llama to llama.cpp', () => {
    const { metadata, tensors } = exported(written('mistral'));
    expect(metadata).toMatchObject({ 'general.architecture': 'llama', 'llama.attention.head_count_kv': 1 });
    expect(tensors.has('rope_freqs.weight')).toBe(false);
  });

  test('biases of queries and keys are in the order of their rows', () => {
    const model = written('llama, biases, wide heads');
    const file = exported(model);
    const stored = parametersOf(model);
    const bias = stored.get('layers.0.self_attn.k_proj.bias')!;
    expect(floatsOf(file, 'blk.0.attn_k.bias').slice(0, 6)).toEqual(
      Float32Array.from([0, 3, 1, 4, 2, 5], (i) => bias[i]),
    );
    expect(floatsOf(file, 'blk.0.ffn_down.bias')).toEqual(stored.get('layers.0.mlp.down_proj.bias'));
    const qwen2 = written('qwen2');
    const own = parametersOf(qwen2).get('layers.1.self_attn.q_proj.bias');
    expect(floatsOf(exported(qwen2), 'blk.1.attn_q.bias')).toEqual(own);
  });

  test('scaled rotary positions', () => {
    expect(exported(written('llama, linear scaling, transformers 4')).metadata).toMatchObject({
      'llama.rope.scaling.type': 'linear',
      'llama.rope.scaling.factor': 2.5,
    });
    expect(
      exported(
        written('qwen2', {
          rope_scaling: { rope_type: 'yarn', factor: 4, original_max_position_embeddings: 8 },
        }),
      ).metadata,
    ).toMatchObject({
      'qwen2.rope.scaling.type': 'yarn',
      'qwen2.rope.scaling.factor': 4,
      'qwen2.rope.scaling.original_context_length': 8,
    });
    // As llama.cpp's converter computes them: 1 for high frequencies, `factor` for low ones.
    const llama3 = exported(written('llama, llama3 scaling, transformers 4'));
    const divisors = floatsOf(llama3, 'rope_freqs.weight');
    expect(divisors).toHaveLength(4);
    const frequencies = [0, 1, 2, 3].map((i) => 500 ** (-i / 4));
    frequencies.forEach((frequency, i) => {
      const length = (2 * Math.PI) / frequency;
      const kept = (16 / length - 1) / 3;
      expect(divisors[i]).toBeCloseTo(length < 4 ? 1 : length > 16 ? 8 : 1 / ((1 - kept) / 8 + kept), 5);
    });
  });

  test.each([
    ['qwen3, biases, yarn with an attention factor', {}, 'attention_bias'],
    ['qwen3, biases, yarn with an attention factor', { attention_bias: false }, 'attention_factor'],
    ['qwen2, yarn', {}, 'beta_fast'],
    [
      'qwen2',
      { rope_scaling: { type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 } },
      'llama3',
    ],
  ])('%s %j is refused, as llama.cpp would compute something else', (name, changes, field) => {
    expect(() => exported(written(name, changes))).toThrow(failure('unsupported-format', field));
  });
});

describe('dtypes', () => {
  const typesOf = ({ tensors }: GgufFile): Record<string, number> =>
    Object.fromEntries([...tensors].map(([name, { type }]) => [name, type]));

  test('matrices get the dtype, vectors and positions stay float32', () => {
    expect(typesOf(exported(gpt2, 'bf16'))).toMatchObject({
      'token_embd.weight': 30,
      'blk.0.attn_qkv.weight': 30,
      'blk.0.attn_qkv.bias': 0,
      'blk.0.attn_norm.weight': 0,
      'position_embd.weight': 0,
      'output.weight': 30,
    });
  });

  test('rows that are not whole blocks are float16, and said to be; embedding and head of q4_0 are q8_0', () => {
    const model = openModelFolder(writeLlama('wide', 'qwen3', 32));
    const output = join(folder, 'wide.gguf');
    const { warnings } = exportGguf(model, { dtype: 'q4_0', output, force: false, report: noReport });
    expect(typesOf(readGguf(output))).toMatchObject({
      'token_embd.weight': 8,
      'output.weight': 8,
      'blk.0.attn_q.weight': 2,
      'blk.0.attn_output.weight': 1, // rows of 16
      'blk.0.ffn_down.weight': 1, // rows of 12
      'blk.0.attn_k_norm.weight': 0,
    });
    expect(warnings).toEqual([expect.stringContaining('2 matrices')]);
  });

  test('a number beyond float16 is refused, and nothing is left behind', () => {
    const model = join(folder, 'large');
    writeModel(model, 'char', {}, (tensors) => {
      tensors.find(({ name }) => name === 'h.0.mlp.c_fc.weight')!.data[5] = 70_000;
    });
    const output = join(folder, 'large.gguf');
    const target = { output, force: false, report: noReport };
    expect(() => exportGguf(openModelFolder(model), { dtype: 'f16', ...target })).toThrow(
      failure('unsupported-format', 'h.0.mlp.c_fc.weight', '70000', 'f16'),
    );
    expect(existsSync(output)).toBe(false);
    exportGguf(openModelFolder(model), { dtype: 'bf16', ...target });
  });
});

test('a suppressed token never has the largest logit, whatever the hidden state', () => {
  const [V, C] = [5, 3];
  const head = Float32Array.from({ length: V * C }, (_, i) => Math.sin(7 * i));
  suppressRows(head, V, new Set([2]));
  for (let k = 1; k < 200; k++) {
    const hidden = Array.from({ length: C }, (_, c) => Math.sin(k * (c + 3)));
    const logits = Array.from({ length: V }, (_, id) =>
      hidden.reduce((sum, h, c) => sum + h * head[id * C + c], 0),
    );
    expect(logits[2]).toBeLessThan(Math.max(...logits));
  }
});

describe('Ollama', () => {
  test('gets a Modelfile next to the model', () => {
    const output = join(folder, 'ollama');
    exportOllama(openModelFolder(gpt2), { dtype: 'f16', output, force: false, report: noReport });
    expect(readFileSync(join(output, 'Modelfile'), 'utf8')).toMatch(/^FROM .\/model.gguf\n[^]*num_ctx 8\n/);
    expect(readGguf(join(output, 'model.gguf')).metadata['general.file_type']).toBe(1);
  });

  test('the folder of a run is not written into, even with --force', () => {
    const output = gpt2;
    const model = openModelFolder(gpt2);
    expect(() => exportOllama(model, { dtype: 'f16', output, force: true, report: noReport })).toThrow(
      failure('output-exists', gpt2),
    );
  });

  test('a folder that holds something is written into with --force only', () => {
    const output = join(folder, 'taken');
    mkdirSync(output);
    writeFileSync(join(output, 'Modelfile'), 'mine');
    const model = openModelFolder(gpt2);
    const target = { dtype: 'f16', output, report: noReport } as const;
    expect(() => exportOllama(model, { ...target, force: false })).toThrow(failure('output-exists', output));
    expect(readFileSync(join(output, 'Modelfile'), 'utf8')).toBe('mine');
    exportOllama(model, { ...target, force: true });
    expect(readFileSync(join(output, 'Modelfile'), 'utf8')).not.toBe('mine');
  });
});
