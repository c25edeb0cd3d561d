import { expect, test } from 'vitest';
import { differentiate, type Value } from '../../src/autodiff/graph.ts';
import { plan } from '../../src/autodiff/plan.ts';
import { createTape } from '../../src/autodiff/tape.ts';
import { Layout, type Region } from '../../src/engine/memory.ts';
import { createWasmBackend } from '../../src/engine/wasm.ts';

/** The gradient of W in gelu(LayerNorm(x))·W, over `rows` rows of 512. */
async function gradient(rows: number) {
  const layout = new Layout();
  const t = createTape();
  const place = (name: string, shape: readonly number[], learned = false) => {
    const region = layout.allocate(shape.reduce((a, b) => a * b));
    return { region, value: t.external(name, shape, region, learned) };
  };
  const x = place('x', [rows, 512], true);
  const weight = place('weight', [512], true);
  const bias = place('bias', [512], true);
  const W = place('W', [512, 8], true);
  const seed = place('seed', [rows, 8]);
  const regions = new Map<Value, Region>(
    [x, weight, bias, W].map(({ value, region }) => [value, layout.allocate(region.length)]),
  );
  const active = t.gelu(t.layerNorm(x.value, weight.value, bias.value, 1e-5));
  differentiate(t, t.linear(active, W.value, null), seed.value, regions);
  const program = plan(t.nodes, layout.end);
  const backend = await createWasmBackend({ threads: 2 });
  backend.reserve(program.end);
  const fill = ({ region }: { region: Region }, at: (i: number) => number) => {
    for (let i = 0; i < region.length; i++) backend.floats[region.offset + i] = at(i);
  };
  // The same 64 rows again and again, the derivative of all but the first 64 being 0: what is added is 0.
  fill(x, (i) => Math.sin((i % (64 * 512)) * 0.37));
  fill(weight, (i) => 1 + (i % 5) / 10);
  fill(bias, (i) => (i % 3) / 10);
  fill(W, (i) => Math.cos(i));
  fill(seed, (i) => (i < 64 * 8 ? Math.cos(i * 0.7) : 0));
  backend.load(program.instructions).run();
  const { offset, length } = regions.get(W.value)!;
  const result = Array.from<number>(backend.floats.subarray(offset, offset + length));
  await backend.close();
  const count = (kernel: string) => program.instructions.filter((each) => each.kernel === kernel).length;
  return { result, gelus: count('gelu'), norms: count('layerNorm') };
}

test('what is cheap and large is computed once more instead of being kept, with the same result', async () => {
  const small = await gradient(64);
  const large = await gradient(4096);
  expect(small).toMatchObject({ gelus: 1, norms: 1 });
  expect(large).toMatchObject({ gelus: 2, norms: 1 }); // GELU's own derivative needs its input, so LayerNorm's output stays
  large.result.forEach((value, i) => expect(value).toBeCloseTo(small.result[i], 4));
  expect(Math.max(...small.result.map(Math.abs))).toBeGreaterThan(0.1);
});
