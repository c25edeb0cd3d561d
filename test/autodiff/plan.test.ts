import { array, assert, nat, property, tuple } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { differentiate, size, type Value } from '../../src/autodiff/graph.ts';
import { plan } from '../../src/autodiff/plan.ts';
import { createTape, type Tape } from '../../src/autodiff/tape.ts';
import { Layout, type Region } from '../../src/engine/memory.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';

/** Builds a random graph of adds, GELUs and matrix products of [3,3] values: operands are picked by `choices`. */
function randomGraph(t: Tape, inputs: readonly Value[], choices: readonly [number, number, number][]): Value {
  const values = [...inputs];
  for (const [op, i, j] of choices) {
    const a = values[i % values.length];
    const b = values[j % values.length];
    values.push(op === 0 ? t.add(a, b) : op === 1 ? t.gelu(a) : t.matmul(a, b));
  }
  return values.at(-1)!;
}

/** A random graph with its derivative: see `randomGraph`. */
function differentiated(choices: readonly [number, number, number][]) {
  const layout = new Layout();
  const t = createTape();
  const regions = new Map<Value, Region>();
  const inputs = ['x', 'y'].map((name) => {
    const value = t.external(name, [3, 3], layout.allocate(9), true);
    regions.set(value, layout.allocate(9));
    return value;
  });
  const out = randomGraph(t, inputs, choices);
  const seed = layout.allocate(9);
  differentiate(t, out, t.external('seed', [3, 3], seed), regions);
  return { layout, t, regions, inputs, out, seed };
}

/** The same gradients with every value in memory of its own: what sharing memory must not change. */
function run(choices: readonly [number, number, number][], shared: boolean): number[] {
  const { layout, t, regions, inputs, out, seed } = differentiated(choices);
  const everything = t.nodes.flatMap((node) =>
    Object.values(node.args).filter((arg): arg is Value => typeof arg === 'object' && arg !== null),
  );
  const program = plan(
    t.nodes,
    layout.end,
    shared ? [out] : everything.filter((v) => v.region === undefined),
  );
  const backend = createReferenceBackend('float64');
  backend.reserve(program.end);
  inputs.forEach(({ region }, i) => {
    for (let k = 0; k < 9; k++) backend.floats[region!.offset + k] = Math.sin(1 + i * 9 + k);
  });
  for (let k = 0; k < 9; k++) backend.floats[seed.offset + k] = Math.cos(k);
  backend.load(program.instructions).run();
  const at = ({ offset, length }: { offset: number; length: number }) =>
    Array.from(backend.floats.subarray(offset, offset + length));
  return [...at(program.buffer(out)), ...[...regions.values()].flatMap(at)];
}

const choice = tuple(nat(2), nat(20), nat(20));

test('planning a tape twice gives the same program', () => {
  assert(
    property(array(choice, { minLength: 1, maxLength: 12 }), (choices) => {
      const { layout, t, out } = differentiated(choices);
      const [first, second] = [plan(t.nodes, layout.end, [out]), plan(t.nodes, layout.end, [out])];
      expect(String(second)).toBe(String(first));
      expect(second.instructions).toEqual(first.instructions);
    }),
    { numRuns: 100, seed: 20261123 },
  );
});

test('sharing memory never changes a result', () => {
  assert(
    property(array(choice, { minLength: 1, maxLength: 12 }), (choices) => {
      const [lean, spacious] = [run(choices, true), run(choices, false)];
      lean.forEach((x, i) => expect(x).toBeCloseTo(spacious[i], 9));
    }),
    { numRuns: 300, seed: 20261123 },
  );
});

describe('the planner', () => {
  test('lets values whose lives do not overlap share memory', () => {
    const layout = new Layout();
    const t = createTape();
    let x = t.external('x', [64], layout.allocate(64));
    for (let i = 0; i < 10; i++) x = t.softmax(x);
    expect(plan(t.nodes, layout.end, [x]).end - layout.end).toBe(2 * 64);
  });

  test('adds a residual gradient in place: no copies', () => {
    const layout = new Layout();
    const t = createTape();
    const W = t.external('W', [8, 8], layout.allocate(64), true);
    let x: Value = t.external('x', [4, 8], layout.allocate(32), true);
    for (let i = 0; i < 3; i++) x = t.add(x, t.linear(t.gelu(x), W, null));
    const gradients = new Map([[W, layout.allocate(64)]]);
    differentiate(t, x, t.external('dx', [4, 8], layout.allocate(32)), gradients);
    const copies = plan(t.nodes, layout.end).instructions.filter(({ kernel }) => kernel === 'copy');
    expect(copies.length).toBe(1); // of the external start, which must survive
  });

  test('prints every instruction with shapes and offsets', () => {
    const layout = new Layout();
    const t = createTape();
    const x = t.external('x', [2, 3], layout.allocate(6));
    const y = t.scope('h.0', () => t.gelu(x));
    expect(String(plan(t.nodes, layout.end, [y]))).toMatch(/0 {2}gelu +h\.0 +x=\[2,3\]@0 y=\[2,3\]@16 n=6/);
    expect(size(y)).toBe(6);
  });
});

test.each([
  ['a transposed W', true, true],
  ['a W that is not trained', false, false],
])('a bias is not trained beside %s', (_, transposed, trained) => {
  const layout = new Layout();
  const t = createTape();
  const value = (name: string, shape: number[], needsGradient = false): Value =>
    t.external(name, shape, layout.allocate(shape.reduce((a, b) => a * b)), needsGradient);
  const y = t.linear(value('x', [2, 3]), value('W', [3, 3], trained), value('bias', [3], true), {
    transposed,
  });
  expect(() => differentiate(t, y, value('seed', [2, 3]), new Map())).toThrow(
    'linear: a bias is trained with a W that is',
  );
});
