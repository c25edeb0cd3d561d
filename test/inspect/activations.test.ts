import { beforeAll, describe, expect, test } from 'vitest';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { Decoder } from '../../src/generate/decoder.ts';
import { readActivations, type Activations } from '../../src/inspect/activations.ts';
import { attentionMap, meanMap, summarizeHead } from '../../src/inspect/attention.ts';
import { logitLens } from '../../src/inspect/logit-lens.ts';
import { gpt2Defaults, type Gpt2Config } from '../../src/model/architectures/gpt2.ts';
import { llamaDefaults, type LlamaConfig } from '../../src/model/architectures/llama-config.ts';
import { architectureOf } from '../../src/model/architectures/registry.ts';
import { parameterTable } from '../../src/model/parameters.ts';
import { hostTensor, writeTensor, type TensorTarget } from '../../src/model/tensor.ts';
import { relativeError } from '../fixtures/golden.ts';
import { loadRandom } from '../fixtures/random-model.ts';

const base: Gpt2Config = {
  ...gpt2Defaults,
  vocabSize: 23,
  blockSize: 10,
  nLayer: 3,
  nHead: 2,
  nEmbd: 12,
  dropout: 0.2,
};
const grouped: LlamaConfig = {
  ...llamaDefaults,
  arch: 'qwen3',
  vocabSize: 23,
  blockSize: 10,
  nLayer: 2,
  nHead: 6,
  nKvHead: 2,
  headSize: 4,
  nEmbd: 12,
  dropout: 0,
};
const ids = [3, 14, 15, 9, 2, 6, 5, 3];

const write = (config: Gpt2Config) => (targets: readonly TensorTarget[]) => loadRandom(config, targets);
const read = (config: Gpt2Config): Promise<Activations> =>
  readActivations(createReferenceBackend('float32'), config, write(config), ids);

describe.each(['pre', 'post'] as const)('the activations of a model with %s-LayerNorm', (norm) => {
  const config = { ...base, norm };
  let activations: Activations;
  beforeAll(async () => {
    activations = await read(config);
  });

  test('include the residual stream and the queries, keys and values of every block', () => {
    expect(activations.residuals.length).toBe(4);
    expect(activations.residuals.every((residual) => residual.length === ids.length * 12)).toBe(true);
    expect(activations.attention.length).toBe(3);
    for (const operands of activations.attention)
      for (const rows of [operands.q, operands.k, operands.v]) expect(rows.length).toBe(ids.length * 12);
  });

  test('give the logits of the decoder after the last block, at every position', async () => {
    const decoder = Decoder.create(createReferenceBackend('float32'), config, write(config));
    const ours = await activations.logits(activations.residuals[3]);
    for (const [t, id] of ids.entries()) {
      const theirs = await decoder.read([id]);
      expect(relativeError(ours.slice(t * 23, (t + 1) * 23), theirs)).toBeLessThan(1e-5);
    }
  });

  test('the logit lens has the likeliest tokens and the rank of the next one', async () => {
    const positions = await logitLens(activations, ids, 4);
    expect(positions.map((layers) => layers.length)).toEqual(ids.map(() => 4));
    const logits = (await activations.logits(activations.residuals[3])).slice(0, 23);
    const sum = logits.reduce((total, x) => total + Math.exp(x), 0);
    const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a]);
    const { top, next } = positions[0][3];
    expect(top.map(({ id }) => id)).toEqual(order.slice(0, 4));
    expect(top[0].probability).toBeCloseTo(Math.exp(logits[order[0]]) / sum, 6);
    expect(next?.probability).toBeCloseTo(Math.exp(logits[ids[1]]) / sum, 6);
    expect(next?.rank).toBe(order.indexOf(ids[1]));
    expect(positions.at(-1)?.every((layer) => layer.next === undefined)).toBe(true);
  });

  test('attention maps are causal and each row sums to 1', () => {
    const T = ids.length;
    const maps = [0, 1, 2].flatMap((layer) => [0, 1].map((head) => attentionMap(activations, layer, head)));
    for (const map of [...maps, meanMap(maps)])
      for (let i = 0; i < T; i++) {
        const row = map.slice(i * T, (i + 1) * T);
        expect(row.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
        expect(row.slice(i + 1).every((p) => p === 0)).toBe(true);
        expect(row.slice(0, i + 1).every((p) => p > 0)).toBe(true);
      }
  });
});

/** Without MLPs, a block adds only attention to the stream: P·V·W + b, W being [H·D,C]. */
test.each([
  ['GPT-2', base, 'h.0.mlp.c_proj.weight', 'h.0.attn.c_proj', 'in,out'],
  [
    'Qwen3 with grouped queries',
    grouped,
    'layers.0.mlp.down_proj.weight',
    'layers.0.self_attn.o_proj',
    'out,in',
  ],
] as const)(
  'attention times values, projected, is what a block adds to the stream: %s',
  async (_, config, mlp, projection, layout) => {
    const parameters = parameterTable(config).map(hostTensor);
    loadRandom(config, parameters);
    const tensors = new Map(parameters.map(({ name, data }) => [name, data]));
    tensors.get(mlp)!.fill(0);
    const activations = await readActivations(
      createReferenceBackend('float32'),
      config,
      (targets) => targets.forEach((target) => writeTensor(target, tensors.get(target.name)!)),
      ids,
    );
    const { nEmbd: C, nHead: H } = config;
    const { heads: G, headSize: D } = architectureOf(config).cache(config);
    const W = tensors.get(`${projection}.weight`)!;
    const b = tensors.get(`${projection}.bias`);
    const weight = (k: number, c: number): number => (layout === 'in,out' ? W[k * C + c] : W[c * H * D + k]);
    const { attention, residuals } = activations;
    const { v } = attention[0];
    for (const t of ids.keys()) {
      const outputs = Array.from({ length: H }, (__, h) => {
        const row = attentionMap(activations, 0, h).subarray(t * ids.length);
        const group = Math.floor(h / (H / G));
        return Array.from({ length: D }, (___, d) =>
          ids.slice(0, t + 1).reduce((sum, ____, j) => sum + row[j] * v[(j * G + group) * D + d], 0),
        );
      }).flat();
      for (let c = 0; c < C; c++) {
        const added = outputs.reduce((sum, y, k) => sum + y * weight(k, c), b?.[c] ?? 0);
        expect(residuals[1][t * C + c] - residuals[0][t * C + c]).toBeCloseTo(added, 5);
      }
    }
  },
);

test('an empty text and one longer than the context are refused', async () => {
  const backend = createReferenceBackend('float32');
  const refused = (text: number[]) => expect(readActivations(backend, base, write(base), text)).rejects;
  await refused(Array(11).fill(0)).toThrow(/\b11\b.*context length/);
  await refused([]).toThrow('no tokens');
});

describe('the summary of a head', () => {
  test('measures where the head attends', () => {
    // prettier-ignore
    const map = Float64Array.of(
      1,   0,   0,
      0.5, 0.5, 0,
      0.2, 0.7, 0.1,
    );
    const summary = summarizeHead(map, 3);
    expect(summary.self).toBeCloseTo((0.5 + 0.1) / 2, 12);
    expect(summary.previous).toBeCloseTo((0.5 + 0.7) / 2, 12);
    expect(summary.first).toBeCloseTo((0.5 + 0.2) / 2, 12);
    expect(summary.distance).toBeCloseTo((0.5 + 0.2 * 2 + 0.7) / 2, 12);
    const entropy = -(0.2 * Math.log(0.2) + 0.7 * Math.log(0.7) + 0.1 * Math.log(0.1));
    expect(summary.spread).toBeCloseTo((1 + entropy / Math.log(3)) / 2, 12);
  });

  test('is all on the token itself for a single position', () => {
    expect(summarizeHead(Float64Array.of(1), 1)).toEqual({
      self: 1,
      previous: 0,
      first: 1,
      distance: 0,
      spread: 0,
    });
  });
});
