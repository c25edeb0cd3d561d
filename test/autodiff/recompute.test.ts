import { expect, test } from 'vitest';
import { createWasmBackend } from '../../src/engine/wasm.ts';
import { Graph } from '../fixtures/graph.ts';

/** The gradient of W in gelu(LayerNorm(x))·W, over `rows` rows of 512. */
async function gradient(rows: number) {
  const graph = new Graph();
  const { t } = graph;
  const x = graph.parameter('x', [rows, 512]);
  const weight = graph.parameter('weight', [512]);
  const bias = graph.parameter('bias', [512]);
  const W = graph.parameter('W', [512, 8]);
  const dOut = graph.differentiate(t.linear(t.gelu(t.layerNorm(x, weight, bias, 1e-5)), W, null));
  const numbers = (length: number, at: (i: number) => number) =>
    Float32Array.from({ length }, (_, i) => at(i));
  const backend = await createWasmBackend({ threads: 2 });
  const { program, gradientOf } = await graph.run(backend, [
    // The same 64 rows over and over. Only the first 64 have a derivative, so the others add 0.
    [x, numbers(rows * 512, (i) => Math.sin((i % (64 * 512)) * 0.37))],
    [weight, numbers(512, (i) => 1 + (i % 5) / 10)],
    [bias, numbers(512, (i) => (i % 3) / 10)],
    [W, numbers(512 * 8, Math.cos)],
    [dOut, numbers(rows * 8, (i) => (i < 64 * 8 ? Math.cos(i * 0.7) : 0))],
  ]);
  const result = Array.from(await gradientOf(W));
  await backend.close();
  const count = (kernel: string) => program.instructions.filter((each) => each.kernel === kernel).length;
  return { result, gelus: count('gelu'), norms: count('layerNorm') };
}

test('large cheap activations are recomputed in the backward pass, with the same gradient', async () => {
  const small = await gradient(64);
  const large = await gradient(4096);
  expect(small).toMatchObject({ gelus: 1, norms: 1 });
  expect(large).toMatchObject({ gelus: 2, norms: 1 }); // GELU's own derivative needs its input, so LayerNorm's output stays
  large.result.forEach((value, i) => expect(value).toBeCloseTo(small.result[i], 4));
  expect(Math.max(...small.result.map(Math.abs))).toBeGreaterThan(0.1);
});
