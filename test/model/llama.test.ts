/** Models of the Llama family: trained, saved, read again, decoded, resumed. test/interop compares them with `transformers`. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { fromConfigJson } from '../../src/checkpoint/huggingface.ts';
import { openModelFolder } from '../../src/checkpoint/open-model.ts';
import { train } from '../../src/index.ts';
import { attentionMap } from '../../src/inspect/attention.ts';
import { architectureOf, checkConfig } from '../../src/model/architectures/registry.ts';
import { llamaDefaults, type LlamaConfig } from '../../src/model/architectures/llama-config.ts';
import type { OptimizerName } from '../../src/train/optimizer.ts';
import { countParameters } from '../../src/model/parameters.ts';
import { expectDecodingAgrees } from '../fixtures/decoding.ts';
import { failure } from '../fixtures/failure.ts';

const folder = mkdtempSync(join(tmpdir(), 'llama-'));
const corpus = join(folder, 'corpus.txt');
const variants = {
  llama: { arch: 'llama' },
  'qwen3 with grouped queries, wide heads and a tied output head': {
    arch: 'qwen3',
    nHead: 4,
    nKvHead: 2,
    headSize: 6,
    tieWordEmbeddings: true,
  },
  'qwen3 trained with Muon': { arch: 'qwen3', optimizer: 'muon' },
} as const;
type Variant = Partial<LlamaConfig> & { optimizer?: OptimizerName };

describe.each(Object.entries(variants))('%s', (name, { optimizer = 'adamw', ...shape }: Variant) => {
  const options = {
    corpus: [corpus],
    nLayer: 2,
    nHead: 2,
    nEmbd: 16,
    blockSize: 16,
    batchSize: 4,
    dropout: 0.1,
    maxIters: 60,
    evalInterval: 20,
    learningRate: 1e-2,
    threads: 1,
    optimizer,
    ...shape,
  };
  const outDir = join(folder, name);

  beforeAll(async () => {
    writeFileSync(corpus, 'call me ishmael. some years ago, never mind how long. '.repeat(60));
    await train({ ...options, outDir });
  });

  test('round-trips through its folder', () => {
    const { config } = openModelFolder(outDir);
    expect(config).toMatchObject({ ...llamaDefaults, nLayer: 2, nEmbd: 16, nInner: 64, ...shape });
  });

  test('decoding with a KV cache agrees with a full forward pass, and attention with its map', async () => {
    const ids = [1, 4, 2, 7, 3, 5];
    const whole = await expectDecodingAgrees(outDir, ids);
    const map = attentionMap(whole, 1, options.nHead - 1);
    for (let i = 0; i < ids.length; i++) {
      const row = map.subarray(i * ids.length, (i + 1) * ids.length);
      expect(row.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 12);
    }
  });

  test('a resumed run ends with the same bytes', async () => {
    const resumed = join(folder, `${name} resumed`);
    let steps = 0;
    await train(
      { ...options, outDir: resumed },
      {
        event: (event) => void (event.type === 'step' && steps++),
        interrupted: () => steps >= 25,
      },
    );
    expect(steps).toBe(25);
    await train({ corpus: [], resume: resumed });
    const weights = (run: string) => readFileSync(join(run, 'model.safetensors'));
    expect(weights(resumed).equals(weights(outDir))).toBe(true);
  });
});

const small: LlamaConfig = {
  ...llamaDefaults,
  arch: 'llama',
  vocabSize: 65,
  blockSize: 128,
  nLayer: 4,
  nHead: 4,
  nEmbd: 128,
  dropout: 0,
};

test('an MLP is 8/3 as wide as the model, in whole SIMD panels', () => {
  const block = 4 * 128 * 128 + 3 * 128 * 352 + 2 * 128;
  expect(countParameters(small)).toBe(2 * 65 * 128 + 4 * block + 128);
});

test.each([
  ['key/value heads that do not divide the query heads', { nKvHead: 3 }, /nKvHead 3 does not divide nHead 4/],
  ['heads that do not divide the channels', { nHead: 3 }, /nHead 3 does not divide nEmbd 128/],
  ['heads with an odd number of channels', { headSize: 7 }, /7 channels.* even/],
  ['a rotary base that is too small', { ropeTheta: 1 }, /ropeTheta is 1/],
  ['a rotary base that is not finite', { ropeTheta: Infinity }, /ropeTheta is Infinity/],
])('%s are refused', (_, change, message) => {
  expect(() => checkConfig({ ...small, ...change })).toThrow(message);
});

const configText = (change: object = {}): string =>
  JSON.stringify({ ...architectureOf(small).huggingFace.toConfigJson(small), ...change });

test.each([
  [
    'heads that do not divide the channels',
    { num_attention_heads: 3, head_dim: null },
    ['"num_attention_heads"', '"hidden_size"'],
  ],
  [
    'key/value heads that do not divide',
    { num_key_value_heads: 3 },
    ['"num_key_value_heads"', '"num_attention_heads"'],
  ],
  ['heads with an odd number of channels', { head_dim: 7 }, ['"head_dim"', '7']],
  ['more layers than are supported', { num_hidden_layers: 1001 }, ['"num_hidden_layers"', '1001']],
  ['an epsilon of 0', { rms_norm_eps: 0 }, ['"rms_norm_eps"', '0']],
])('%s are refused in config.json, under its names', (_, change, words) => {
  expect(() => fromConfigJson(configText(change), 'config.json')).toThrow(
    failure('unsupported-format', 'config.json', ...words),
  );
});

test.each(['1e999', '"10000"', '1'])('a rotary base of %s in config.json is refused by name', (theta) => {
  const text = configText().replaceAll('"rope_theta":10000', `"rope_theta":${theta}`);
  expect(() => fromConfigJson(text, 'config.json')).toThrow(
    failure('unsupported-format', '"rope_theta"', 'above 1'),
  );
});
