/** Models of the open families as `transformers` computes them (test/fixtures/open_models.py). */
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { fromConfigJson } from '../../src/checkpoint/huggingface.ts';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { Decoder } from '../../src/generate/decoder.ts';
import { train } from '../../src/index.ts';
import { readActivations } from '../../src/inspect/activations.ts';
import { architectureOf } from '../../src/model/architectures/registry.ts';
import { rotation, type LlamaConfig } from '../../src/model/architectures/llama-config.ts';
import { backends } from '../fixtures/backends.ts';
import { failure } from '../fixtures/failure.ts';
import { openModels, writeOpenModel } from '../fixtures/open-models.ts';

const root = mkdtempSync(join(tmpdir(), 'open-models-'));
const { ids, models, scalings } = openModels;
const names = Object.keys(models);

const configOf = (fields: object): LlamaConfig =>
  fromConfigJson(JSON.stringify(fields), 'config.json').config as LlamaConfig;

/** The largest difference, relative to the largest number. */
function difference(ours: ArrayLike<number>, theirs: readonly number[]): number {
  expect(ours).toHaveLength(theirs.length);
  const largest = Math.max(...theirs.map(Math.abs));
  return Math.max(...theirs.map((x, i) => Math.abs(x - ours[i]))) / largest;
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
    const decoder = Decoder.create(await backends[backend](), model.config, (into) => model.load(into));
    const last = models[name].logits.slice(-model.config.vocabSize);
    await decoder.read(ids.slice(0, 20));
    for (const id of ids.slice(20, -1)) await decoder.step([id]);
    expect(difference(await decoder.step([ids.at(-1)!]), last)).toBeLessThan(1e-5);
  });
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
