import { describe, expect, test } from 'vitest';
import { channels, differentiate, splitChannels, type Value } from '../../../src/autodiff/graph.ts';
import { cachedAttention } from '../../../src/autodiff/ops/attention.ts';
import { plan } from '../../../src/autodiff/plan.ts';
import { createTape } from '../../../src/autodiff/tape.ts';
import type { Backend } from '../../../src/engine/instruction.ts';
import { Layout, type Region } from '../../../src/engine/memory.ts';
import { backends } from '../../fixtures/backends.ts';
import { golden, relativeError } from '../../fixtures/golden.ts';

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
function attend(
  backend: Backend,
  { B, T, H, G, D }: Shape,
  options: {
    readonly packed: boolean;
    readonly starts?: readonly number[] | undefined;
    readonly rows?: readonly number[];
    readonly probability?: number;
  },
): { out: Float32Array | Float64Array; gradients: (Float32Array | Float64Array)[] } {
  const { packed, starts, rows = numbers(B * T * (H + 2 * G) * D, 1), probability = 0.2 } = options;
  const layout = new Layout();
  const t = createTape();
  const widths = [H * D, G * D, G * D];
  const firsts = [0, H * D, (H + G) * D];
  const width = (H + 2 * G) * D;
  const inputs = packed
    ? [t.external('qkv', [B, T, width], layout.allocate(B * T * width), true)]
    : widths.map((each, i) => t.external('qkv'[i], [B, T, each], layout.allocate(B * T * each), true));
  const [q, k, v] = packed ? widths.map((each, i) => channels(inputs[0], firsts[i], each)) : inputs;
  const rng = t.external('rng', [4], layout.allocate(4, 'i32'));
  const startsAt = layout.allocate(B * T, 'i32');
  const gradients = new Map(inputs.map((x) => [x, layout.allocate(x.region!.length)]));
  const dOut = layout.allocate(B * T * H * D);
  const operands = { q, k, v, starts: starts && t.external('starts', [B, T], startsAt) };
  const out = t.attention(operands, D, { rng, probability }, 3);
  differentiate(t, out, t.external('dOut', out.shape, dOut), gradients);
  const program = plan(t.nodes, layout.end, [out]);
  backend.reserve(program.end);
  const split = widths.map((each, i) =>
    Array.from({ length: B * T }, (_, row) =>
      rows.slice(row * width + firsts[i], row * width + firsts[i] + each),
    ).flat(),
  );
  inputs.forEach((x, i) => backend.floats.set(packed ? rows : split[i], x.region!.offset));
  backend.ints.set([11, 12, 13, 14], rng.region!.offset);
  if (starts) backend.ints.set(starts, startsAt.offset);
  backend.floats.set(numbers(dOut.length, 2), dOut.offset);
  backend.load(program.instructions).run();
  const at = ({ offset, length }: { offset: number; length: number }) =>
    backend.floats.slice(offset, offset + length);
  return { out: at(program.buffer(out)), gradients: [...gradients.values()].map(at) };
}

describe.each(Object.entries(backends))('%s', (_, make) => {
  test('packed and separate queries, keys and values give the same bits', async () => {
    const shape = { B: 2, T: 21, H: 6, G: 2, D: 5 };
    const starts = Array.from({ length: 42 }, (__, i) => (i % 21 < 9 ? 0 : 9));
    const packed = attend(await make(), shape, { packed: true, starts });
    const separate = attend(await make(), shape, { packed: false, starts });
    expect(separate.out).toEqual(packed.out);
    const interleaved = numbers(0, 0);
    for (let row = 0; row < 42; row++)
      [30, 10, 10].forEach((width, i) =>
        interleaved.push(...separate.gradients[i].subarray(row * width, (row + 1) * width)),
      );
    expect(interleaved).toEqual([...packed.gradients[0]]);
  });

  test('a document gives the same bits in a row of several as alone', async () => {
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
    const forward = (length: number, part: readonly number[], documents?: readonly number[]) =>
      attend(
        backend,
        { B: 1, T: length, H, G, D },
        { packed: true, starts: documents, rows: part, probability: 0 },
      ).out;
    const together = forward(T, rows, starts);
    let from = 0;
    for (const n of lengths) {
      const alone = forward(n, rows.slice(from * width, (from + n) * width));
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
    const decode = (from: number, to: number): void => {
      const n = to - from;
      const place = new Layout(layout.end);
      const t = createTape();
      const external = (name: string, width: number, dtype: Region['dtype']): Value =>
        t.external(name, [B, n, width], place.allocate(B * n * width, dtype));
      const [q, k, v] = [
        external('q', H * D, 'f32'),
        external('k', G * D, 'f32'),
        external('v', G * D, 'f32'),
      ];
      const [positions, documents] = [external('positions', 1, 'i32'), external('starts', 1, 'i32')];
      const [keys, values] = cache.map((region) => t.external('cache', [B, G, T + 2, D], region));
      const y = cachedAttention(t, { q, k, v, starts: documents }, positions, { keys, values });
      const program = plan(t.nodes, place.end, [y]);
      backend.reserve(program.end);
      /** Positions from … to − 1 of both rows. */
      const part = (all: readonly number[]): number[] =>
        [0, 1].flatMap((b) => {
          const width = all.length / (B * T);
          return all.slice((b * T + from) * width, (b * T + to) * width);
        });
      for (const value of [q, k, v]) backend.floats.set(part(inputs[value.name]), value.region!.offset);
      backend.ints.set(part(starts.map((__, i) => i % T)), positions.region!.offset);
      backend.ints.set(part(starts), documents.region!.offset);
      backend.load(program.instructions).run();
      const { offset, length } = program.buffer(y);
      expect(relativeError(backend.floats.slice(offset, offset + length), part(out))).toBeLessThan(tolerance);
    };
    decode(0, 4); // prefill
    for (let t = 4; t < T; t++) decode(t, t + 1);
  });
});

describe('operands that do not fit are refused', () => {
  const layout = new Layout();
  const t = createTape();
  const external = (name: string, width: number): Value =>
    t.external(name, [1, 4, width], layout.allocate(4 * width), true);
  const rng = t.external('rng', [4], layout.allocate(4, 'i32'));
  const dropout = { rng, probability: 0 };

  test('heads that do not divide', () => {
    const [q, k, v] = [external('q', 12), external('k', 8), external('v', 8)];
    const message = 'attention: queries [1,4,12] with keys [1,4,8] and values [1,4,8], in heads of 4';
    expect(() => t.attention({ q, k, v }, 4, dropout, 0)).toThrow(message);
  });

  test('a view, by a kernel that reads contiguous operands', () => {
    const [x] = splitChannels(external('qkv', 12), 3);
    expect(() => t.gelu(x)).toThrow("gelu: x cannot be a view of 'qkv'");
  });

  test('views that leave out channels of a value, whose gradient would be undefined there', () => {
    const qkv = external('qkv', 14);
    const [q, k, v] = [channels(qkv, 0, 4), channels(qkv, 4, 4), channels(qkv, 8, 4)];
    const out = t.attention({ q, k, v }, 4, dropout, 0);
    const gradient = new Map([[qkv, layout.allocate(56)]]);
    expect(() => differentiate(t, out, external('dOut', 4), gradient)).toThrow(
      "the operands do not show each of the 14 channels of 'qkv' once",
    );
  });
});
