/** Models of the open families as `transformers` computes them (test/fixtures/open_models.py). */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fromConfigJson } from '../../src/checkpoint/huggingface.ts';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { plan } from '../../src/autodiff/plan.ts';
import type { ModelFolder } from '../../src/checkpoint/model-folder.ts';
import type { Device } from '../../src/engine/device.ts';
import { Layout } from '../../src/engine/memory.ts';
import { openScorer } from '../../src/evaluate/evaluate-text.ts';
import { Decoder, decodedContext, textsAtOnce } from '../../src/generate/decoder.ts';
import { train } from '../../src/index.ts';
import { readActivations } from '../../src/inspect/activations.ts';
import { readWeights } from '../../src/inspect/weights.ts';
import { architectureOf } from '../../src/model/architectures/registry.ts';
import { rotation, type LlamaConfig } from '../../src/model/architectures/llama-config.ts';
import { isWeightMatrix } from '../../src/model/parameter.ts';
import { elements, parameterTable } from '../../src/model/parameters.ts';
import { placeModel, tensorsOf } from '../../src/model/placement.ts';
import { hostTensor, type TensorTarget } from '../../src/model/tensor.ts';
import { writeBatch } from '../../src/train/evaluation-pass.ts';
import { placeBatch, recordLoss } from '../../src/train/programs.ts';
import { backends } from '../fixtures/backends.ts';
import { failure } from '../fixtures/failure.ts';
import { openModels, writeOpenModel } from '../fixtures/open-models.ts';

const root = mkdtempSync(join(tmpdir(), 'open-models-'));
const { ids, starts, models, scalings } = openModels;
const names = Object.keys(models);

/** A GPT-2, whose linear weights are stored as [in,out] and transposed for decoding. */
const gpt2 = { model_type: 'gpt2', vocab_size: 24, n_positions: 32, n_embd: 24, n_layer: 2, n_head: 2 };
const fieldsOf = (name: string): object => (name === 'gpt2' ? gpt2 : models[name].config);

const configOf = (fields: object): LlamaConfig =>
  fromConfigJson(JSON.stringify(fields), 'config.json').config as LlamaConfig;

/** The largest difference, relative to the largest number. */
function difference(ours: ArrayLike<number>, theirs: readonly number[]): number {
  expect(ours).toHaveLength(theirs.length);
  const largest = Math.max(...theirs.map(Math.abs));
  return Math.max(...theirs.map((x, i) => Math.abs(x - ours[i]))) / largest;
}

/** The logits of the ids as a row of documents. */
async function documentLogits(device: Device, model: ModelFolder): Promise<Float32Array> {
  const layout = new Layout();
  const { config, storageOf } = model;
  const placed = placeModel(config, layout, storageOf);
  const batch = placeBatch(layout, 1, ids.length, true);
  const { tape, logits } = recordLoss(placed, batch);
  const program = plan(tape.nodes, layout.end, [logits]);
  device.reserve(program.end);
  model.load(tensorsOf(device, placed.block, placed.region));
  const positions = Int32Array.from(starts, (start, i) => i - start);
  const rows = { starts: Int32Array.from(starts), positions };
  writeBatch(device, { inputs: Int32Array.from(ids), targets: Int32Array.from(ids), rows }, batch);
  device.load(program.instructions).submit();
  return device.read(program.buffer(logits).offset, new Float32Array(ids.length * config.vocabSize));
}

describe.each(['reference float32', 'wasm simd'])('on %s', (backend) => {
  test.each(names)('%s has the logits of transformers', async (name) => {
    const folder = join(root, name);
    writeOpenModel(folder, models[name].config);
    const model = openModelFolder(folder);
    const device = await backends[backend]();
    const { logits, residuals } = await readActivations(
      device,
      model.config,
      (into) => model.load(into),
      ids,
    );
    expect(difference(await logits(residuals.at(-1)!), models[name].logits)).toBeLessThan(1e-5);
    const within = await documentLogits(await backends[backend](), model);
    expect(difference(within, models[name].documentLogits)).toBeLessThan(1e-5);
    const decoder = Decoder.create(await backends[backend](), model.config, (into) => model.load(into));
    const last = models[name].logits.slice(-model.config.vocabSize);
    await decoder.read(ids.slice(0, 20));
    for (const id of ids.slice(20, -1)) await decoder.step([id]);
    expect(difference(await decoder.step([ids.at(-1)!]), last)).toBeLessThan(1e-5);
  });
});

describe.each(['F16', 'BF16'] as const)('weights in %s', (dtype) => {
  const written = (name: string): string => {
    const folder = join(root, `${name} ${dtype}`);
    writeOpenModel(folder, fieldsOf(name), dtype);
    return folder;
  };

  test.each(['llama, biases, wide heads', 'qwen3', 'gpt2'])(
    'are kept as they are by a model that is only read, with the same results: %s',
    async (name) => {
      writeOpenModel(join(root, name), fieldsOf(name));
      const results: Float32Array[][] = [];
      const sizes: number[] = [];
      for (const folder of [join(root, name), written(name)]) {
        const model = openModelFolder(folder);
        const { config, storageOf } = model;
        const load = (into: readonly TensorTarget[]): void => model.load(into);
        const device = await backends['wasm relaxed']();
        const decoder = Decoder.create(device, config, load, 3, storageOf);
        const decoded = [...(await decoder.read(ids.slice(0, 20))), ...(await decoder.step([1, 2, 3]))];
        const { logits, residuals } = await readActivations(device, config, load, ids, storageOf);
        const scorer = openScorer(model, device, ids.length);
        const nats: number[] = [];
        const text = { tokenizer: model.tokenizer, ids: Uint32Array.from(ids), unknown: [] };
        for await (const chunk of scorer.scores(text)) nats.push(...Array.from(chunk.nats));
        results.push([
          Float32Array.from(decoded),
          (await logits(residuals.at(-1)!)).slice(),
          Float32Array.from(nats),
        ]);
        sizes.push(4 * placeModel(config, new Layout(), storageOf).region.length);
        expect(4 * placeModel(config, new Layout()).region.length).toBe(sizes[0]);
      }
      expect(results[1]).toEqual(results[0]);
      const { config } = openModelFolder(written(name));
      const matrices = parameterTable(config).filter(isWeightMatrix);
      const saved = 2 * matrices.reduce((sum, { shape }) => sum + elements(shape), 0);
      expect(Math.abs(sizes[0] - sizes[1] - saved)).toBeLessThan(64 * matrices.length);
    },
  );

  test('must be finite', async () => {
    const file = join(written('mistral'), 'model.safetensors');
    const bytes = readFileSync(file);
    bytes.writeUInt16LE(dtype === 'F16' ? 0xfc00 : 0xff80, bytes.length - 2); // the last number of the output head
    writeFileSync(file, bytes);
    const model = openModelFolder(join(root, `mistral ${dtype}`));
    const device = await backends['wasm simd']();
    const load = (into: readonly TensorTarget[]): void => model.load(into);
    expect(() => Decoder.create(device, model.config, load, 1, model.storageOf)).toThrow(
      failure('damaged-file', '"lm_head.weight"', '-Infinity', 'element 191 of 192'),
    );
  });

  test('are widened for training', async () => {
    const run = join(root, `run ${dtype}`);
    const corpus = [join(root, 'text.txt')];
    writeFileSync(corpus[0], 'abcabcabcabcabca');
    const options = {
      optimizer: 'sgd',
      momentum: 0,
      weightDecay: 0,
      learningRate: 1e-30,
      warmupIters: 0,
    } as const;
    await train({
      corpus, initFrom: written('qwen2'), outDir: run, blockSize: 4, batchSize: 1, threads: 1,
      maxIters: 1, evalInterval: 0, valFraction: 0, ...options,
    }); // prettier-ignore
    const [before, after] = [written('qwen2'), run].map((folder) => readWeights(openModelFolder(folder)));
    for (const [i, { data }] of before.entries())
      data.forEach((x, k) => expect(Math.abs(after[i].data[k] - x)).toBeLessThan(1e-20));
  });
});

describe('a model in shards', () => {
  const name = 'qwen3';
  const folder = join(root, 'sharded');
  const rewrite = (changes: object = {}): void => {
    writeOpenModel(folder, models[name].config, 'BF16', 3);
    writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...models[name].config, ...changes }));
  };

  test('in bfloat16 has the logits of transformers', async () => {
    rewrite();
    const model = openModelFolder(folder);
    const { config, storageOf } = model;
    const device = await backends['wasm relaxed']();
    const decoder = Decoder.create(device, config, (into) => model.load(into), 1, storageOf);
    const last = models[name].logits.slice(-config.vocabSize);
    expect(difference(await decoder.read(ids), last)).toBeLessThan(1e-5);
  });

  test('without one of them is refused by its name', () => {
    rewrite();
    rmSync(join(folder, 'model-00002-of-00003.safetensors'));
    expect(() => openModelFolder(folder)).toThrow(
      failure('file-not-found', 'model-00002-of-00003.safetensors', 'index.json'),
    );
  });

  test.each([
    ['a vocabulary larger than the embedding', { vocab_size: 13 }, ['vocab_size', '13', '12']],
    ['a vocabulary smaller than the embedding', { vocab_size: 11 }, ['vocab_size', '11', '12']],
    [
      'another width',
      { intermediate_size: 25 },
      ['index.json', '"layers.0.mlp.gate_proj.weight"', '[24,16]', '[25,16]'],
    ],
    ['more layers', { num_hidden_layers: 3 }, ['index.json', '"layers.2.']],
    ['a tied head', { tie_word_embeddings: true, vocab_size: 12 }, ['lm_head.weight', 'tie']],
  ])('with %s in config.json is refused by name', (_, changes, words) => {
    rewrite(changes);
    expect(() =>
      openModelFolder(folder).load(parameterTable(configOf(models[name].config)).map(hostTensor)),
    ).toThrow(failure('mismatched-files', ...words));
  });
});

test('a model that is too large is refused before it is loaded', async () => {
  const config = { ...configOf(models['llama'].config), vocabSize: 2 ** 21, nEmbd: 1024, headSize: 8 };
  const device = await backends['wasm simd']();
  const load = (): void => expect.unreachable('it does not fit in memory');
  expect(() => Decoder.create(device, config, load)).toThrow(failure('out-of-memory'));
});

test('a context whose KV cache would take more than 1 GiB is cut for decoding', () => {
  const config = configOf({
    ...models['qwen3'].config,
    num_hidden_layers: 28,
    num_key_value_heads: 8,
    num_attention_heads: 16,
    head_dim: 128,
    max_position_embeddings: 40_960,
  });
  expect(decodedContext(config)).toBe(4672); // 224 KiB for each position
  expect(decodedContext({ ...config, blockSize: 4000 })).toBe(4000);
  expect(textsAtOnce(config, 4)).toBe(1);
});

test.each(names)('the config of %s survives being written', (name) => {
  const config = configOf(models[name].config);
  const written = architectureOf(config).huggingFace.toConfigJson(config);
  expect(configOf(written)).toEqual(config);
  // Both versions of transformers find θ and the scaling.
  expect(written['rope_parameters']).toEqual({
    rope_type: 'default',
    ...config.ropeScaling,
    rope_theta: config.ropeTheta,
  });
  expect(written['rope_theta']).toBe(config.ropeTheta);
  expect(written['rope_scaling']).toEqual(config.ropeScaling);
});

const llama = models['llama'].config;

test.each(Object.entries(scalings))('rotary frequencies: %s', (_, scaling) => {
  const { head_dim, max_position_embeddings, rope_parameters, inv_freq, attention_scaling } = scaling;
  const config = configOf({ ...llama, head_dim, max_position_embeddings, rope_parameters });
  const { frequencies, scale } = rotation(config);
  expect(frequencies).toHaveLength(inv_freq.length);
  for (const [i, f] of inv_freq.entries()) expect(Math.abs(frequencies[i] / f - 1)).toBeLessThan(3e-7);
  expect(scale).toBeCloseTo(attention_scaling, 12);
});

test.each([
  [{ quant_method: 'bitsandbytes', load_in_4bit: true }, '"bitsandbytes"'],
  [{ bits: 4 }, 'quantized'],
])('a quantized model is refused by name', (quantization_config, mentioned) => {
  expect(() => configOf({ ...llama, quantization_config })).toThrow(
    failure('unsupported-format', 'config.json', '"quantization_config"', mentioned),
  );
});

test('the scaling keeps the context length it was made for when a model is fine-tuned with another', async () => {
  const folder = join(root, 'base');
  const rope_scaling = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
  writeOpenModel(folder, { ...llama, rope_scaling });
  const run = join(root, 'run');
  const corpus = join(root, 'base', 'config.json');
  const options = { corpus: [corpus], initFrom: folder, outDir: run, blockSize: 8, batchSize: 2, threads: 1 };
  let steps = 0;
  await train(
    { ...options, maxIters: 4, evalInterval: 2 },
    { event: (event) => void (event.type === 'step' && steps++), interrupted: () => steps >= 3 },
  );
  await train({ corpus: [], resume: run });
  const json = JSON.parse(readFileSync(join(run, 'config.json'), 'utf8')) as Record<string, unknown>;
  expect(json).toMatchObject({
    max_position_embeddings: 8,
    rope_scaling: { ...rope_scaling, original_max_position_embeddings: 32 },
  });
});

test.each([
  [{ rope_scaling: { type: 'dynamic', factor: 2 } }, ['"rope_scaling"', '"dynamic"']],
  [{ rope_parameters: { rope_type: 'longrope', rope_theta: 1e4 } }, ['"rope_parameters"', '"longrope"']],
  [{ rope_scaling: { rope_type: 'su' } }, ['"rope_scaling"', '"su"']],
  [{ rope_scaling: 'linear' }, ['"rope_scaling"', 'object']],
  [{ rope_scaling: { type: 'linear' } }, ['"rope_scaling"', '"factor"', 'missing']],
  [{ rope_scaling: { type: 'linear', factor: '2' } }, ['"rope_scaling"', '"factor"', '"2"']],
  [
    { rope_scaling: { type: 'llama3', factor: 8, low_freq_factor: 4, high_freq_factor: 4 } },
    ['"rope_scaling"', '"low_freq_factor"', '"high_freq_factor"'],
  ],
  [{ rope_scaling: { type: 'yarn', factor: 2, truncate: 1 } }, ['"rope_scaling"', '"truncate"']],
  [{ partial_rotary_factor: 0.5 }, ['"partial_rotary_factor"', '0.5']],
  [{ hidden_act: 'gelu' }, ['"hidden_act"', '"gelu"']],
  [{ attention_bias: 1 }, ['"attention_bias"', '1']],
  [{ model_type: 'qwen2', use_sliding_window: true }, ['"use_sliding_window"', 'true']],
  [{ model_type: 'qwen2', layer_types: ['full_attention', 'sliding_attention'] }, ['"layer_types"']],
  [
    { model_type: 'mistral', sliding_window: 31 },
    ['"sliding_window"', '31', '"max_position_embeddings"', '32'],
  ],
  // What is absent has the default of transformers.
  [{ model_type: 'mistral', max_position_embeddings: 4097 }, ['"sliding_window"', '4096']],
])('%j is refused by name', (change, words) => {
  expect(() => configOf({ ...llama, ...change })).toThrow(
    failure('unsupported-format', 'config.json', ...words),
  );
});

test.each([
  ['mistral', {}, 8],
  ['mistral', { num_key_value_heads: null }, 16],
  ['qwen2', {}, 32],
  ['llama', {}, 16],
])('%s with %j has %i key/value heads, as in transformers', (model_type, change, heads) => {
  const { num_key_value_heads: _, ...fields } = llama;
  const config = {
    ...fields,
    model_type,
    num_attention_heads: model_type === 'qwen2' ? 32 : 16,
    hidden_size: 64,
  };
  expect(configOf({ ...config, sliding_window: null, ...change }).nKvHead).toBe(heads);
});
