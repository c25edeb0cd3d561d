import { describe, expect, test } from 'vitest';
import { channels, splitChannels } from '../../../src/autodiff/graph.ts';
import { cachedAttention } from '../../../src/autodiff/ops/attention.ts';
import type { Device } from '../../../src/engine/device.ts';
import { Layout } from '../../../src/engine/memory.ts';
import { backends } from '../../fixtures/backends.ts';
import { golden, relativeError } from '../../fixtures/golden.ts';
import { Graph } from '../../fixtures/graph.ts';
import type { Numbers } from '../../fixtures/memory.ts';

/** Deterministic numbers in [−2, 2], different in every tensor. */
const numbers = (length: number, tensor: number): number[] =>
  Array.from({ length }, (_, i) => 2 * Math.sin(i * 1.7 + tensor * 0.9));

interface Shape {
  readonly B: number;
  readonly T: number;
  readonly H: number;
  readonly G: number;
  readonly D: number;
}

/** Forward and backward pass over a packed row of queries, keys and values, or over three tensors with the same numbers. */
async function attend(
  backend: Device,
  { B, T, H, G, D }: Shape,
  options: {
    readonly packed: boolean;
    readonly starts?: readonly number[] | undefined;
    readonly rows?: readonly number[];
    readonly probability?: number;
  },
): Promise<{ out: Numbers; gradients: Numbers[] }> {
  const { packed, starts, rows = numbers(B * T * (H + 2 * G) * D, 1), probability = 0.2 } = options;
  const graph = new Graph();
  const widths = [H * D, G * D, G * D];
  const firsts = [0, H * D, (H + G) * D];
  const width = (H + 2 * G) * D;
  const tensors = packed
    ? [graph.parameter('qkv', [B, T, width])]
    : widths.map((each, i) => graph.parameter('qkv'[i], [B, T, each]));
  const [q, k, v] = packed ? widths.map((each, i) => channels(tensors[0], firsts[i], each)) : tensors;
  const rng = graph.input('rng', [4], 'i32');
  const startsAt = graph.input('starts', [B, T], 'i32');
  const operands = { q, k, v, starts: starts && startsAt };
  const out = graph.t.attention(operands, D, { rng, probability }, 3);
  const dOut = graph.differentiate(out);
  const split = widths.map((each, i) =>
    Array.from({ length: B * T }, (_, row) =>
      rows.slice(row * width + firsts[i], row * width + firsts[i] + each),
    ).flat(),
  );
  const found = await graph.run(
    backend,
    [
      ...tensors.map((tensor, i) => [tensor, packed ? rows : split[i]] as const),
      [rng, [11, 12, 13, 14]],
      [startsAt, starts ?? []],
      [dOut, numbers(B * T * H * D, 2)],
    ],
    [out],
  );
  return { out: await found.valueOf(out), gradients: await Promise.all(tensors.map(found.gradientOf)) };
}

describe.each(Object.entries(backends))('%s', (_, make) => {
  test('packed and separate queries, keys and values give the same bits', async () => {
    const shape = { B: 2, T: 21, H: 6, G: 2, D: 5 };
    const starts = Array.from({ length: 42 }, (__, i) => (i % 21 < 9 ? 0 : 9));
    const packed = await attend(await make(), shape, { packed: true, starts });
    const separate = await attend(await make(), shape, { packed: false, starts });
    expect(separate.out).toEqual(packed.out);
    const interleaved = numbers(0, 0);
    for (let row = 0; row < 42; row++)
      [30, 10, 10].forEach((width, i) =>
        interleaved.push(...separate.gradients[i].subarray(row * width, (row + 1) * width)),
      );
    expect(interleaved).toEqual([...packed.gradients[0]]);
  });

  test('a document gives the same bits alone and packed in a row with others', async () => {
    const backend = await make();
    const [H, G, D] = [4, 2, 24];
    const lengths = [3, 40, 1, 65, 20];
    const T = lengths.reduce((a, b) => a + b, 0);
    const width = (H + 2 * G) * D;
    const rows = numbers(T * width, 1);
    const starts = lengths.flatMap((n, i) => {
      const start = lengths.slice(0, i).reduce((a, b) => a + b, 0);
      return Array.from({ length: n }, () => start);
    });
    const forward = async (length: number, part: readonly number[], documents?: readonly number[]) => {
      const options = { packed: true, starts: documents, rows: part, probability: 0 };
      return (await attend(backend, { B: 1, T: length, H, G, D }, options)).out;
    };
    const together = await forward(T, rows, starts);
    let from = 0;
    for (const n of lengths) {
      const alone = await forward(n, rows.slice(from * width, (from + n) * width));
      expect(together.subarray(from * H * D, (from + n) * H * D)).toEqual(alone);
      from += n;
    }
  });

  test('cached decoding agrees with PyTorch, 4 query heads on 2 cached heads, in documents', async () => {
    const [B, T, H, G, D] = [2, 7, 4, 2, 5];
    const { inputs, out } = golden.ops['attention, 4 query heads on 2 key/value heads of 5, documents'];
    const starts = [0, 0, 0, 3, 3, 5, 5, 0, 1, 1, 1, 1, 1, 6];
    const backend = await make();
    const tolerance = backend.name === 'reference float64' ? 1e-8 : 1e-6;
    const layout = new Layout();
    const cache = [1, 2].map(() => layout.allocate(B * G * (T + 2) * D));
    const decode = async (from: number, to: number): Promise<void> => {
      const graph = new Graph(layout.end);
      const shape = (width: number) => [B, to - from, width];
      const [q, k, v] = [
        graph.input('q', shape(H * D)),
        graph.input('k', shape(G * D)),
        graph.input('v', shape(G * D)),
      ];
      const [positions, documents] = [
        graph.input('positions', shape(1), 'i32'),
        graph.input('starts', shape(1), 'i32'),
      ];
      const [keys, values] = cache.map((region) => graph.t.external('cache', [B, G, T + 2, D], region));
      const y = cachedAttention(graph.t, { q, k, v, starts: documents }, positions, { keys, values });
      /** Positions from … to − 1 of both rows. */
      const part = (all: readonly number[]): number[] =>
        [0, 1].flatMap((b) => {
          const width = all.length / (B * T);
          return all.slice((b * T + from) * width, (b * T + to) * width);
        });
      const { valueOf } = await graph.run(
        backend,
        [
          ...[q, k, v].map((value) => [value, part(inputs[value.name])] as const),
          [positions, part(starts.map((__, i) => i % T))],
          [documents, part(starts)],
        ],
        [y],
      );
      expect(relativeError(await valueOf(y), part(out))).toBeLessThan(tolerance);
    };
    await decode(0, 4); // prefill
    for (let t = 4; t < T; t++) await decode(t, t + 1);
  });
});

describe('attention refuses', () => {
  const operands = (width: { q: number; k: number; v: number }) => {
    const graph = new Graph();
    const [q, k, v] = (['q', 'k', 'v'] as const).map((name) => graph.parameter(name, [1, 4, width[name]]));
    return { graph, q, k, v, dropout: { rng: graph.input('rng', [4], 'i32'), probability: 0 } };
  };

  test('key heads that do not divide the query heads', () => {
    const { graph, q, k, v, dropout } = operands({ q: 12, k: 8, v: 8 });
    const message = 'attention: queries [1,4,12] with keys [1,4,8] and values [1,4,8], in heads of 4';
    expect(() => graph.t.attention({ q, k, v }, 4, dropout, 0)).toThrow(message);
  });

  test('views that leave out channels of a value, whose gradient would be undefined there', () => {
    const { graph, q: qkv, dropout } = operands({ q: 14, k: 4, v: 4 });
    const [q, k, v] = [channels(qkv, 0, 4), channels(qkv, 4, 4), channels(qkv, 8, 4)];
    const out = graph.t.attention({ q, k, v }, 4, dropout, 0);
    expect(() => graph.differentiate(out)).toThrow(/\b14\b.*'q'/);
  });
});

test('a kernel that reads contiguous operands refuses a view', () => {
  const graph = new Graph();
  const [x] = splitChannels(graph.parameter('qkv', [1, 4, 12]), 3);
  expect(() => graph.t.gelu(x)).toThrow(/gelu: x .*'qkv'/);
});
