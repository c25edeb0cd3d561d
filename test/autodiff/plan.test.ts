import { array, assert, asyncProperty, nat, property, tuple } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { writes, type Value } from '../../src/autodiff/graph.ts';
import type { Tape } from '../../src/autodiff/tape.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { Graph } from '../fixtures/graph.ts';
import { collisionsOfStrands } from '../fixtures/strands.ts';

/** Records a random graph of additions, GELUs and matrix products of [3,3] values: `choices` picks ops and operands. */
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
  const graph = new Graph();
  const inputs = ['x', 'y'].map((name) => graph.parameter(name, [3, 3]));
  const out = randomGraph(graph.t, inputs, choices);
  return { graph, inputs, out, dOut: graph.differentiate(out) };
}

/** Result and gradients in float64, with activations sharing memory or each in its own. */
async function run(choices: readonly [number, number, number][], shared: boolean): Promise<number[]> {
  const { graph, inputs, out, dOut } = differentiated(choices);
  const everything = graph.t.nodes.flatMap((node) =>
    Object.values(node.args).filter((arg): arg is Value => typeof arg === 'object' && arg !== null),
  );
  const nine = (at: (k: number) => number) => Array.from({ length: 9 }, (_, k) => at(k));
  const { valueOf, gradientOf } = await graph.run(
    createReferenceBackend('float64'),
    [
      ...inputs.map((input, i) => [input, nine((k) => Math.sin(1 + i * 9 + k))] as const),
      [dOut, nine(Math.cos)],
    ],
    shared ? [out] : everything.filter((value) => value.region === undefined),
  );
  const results = await Promise.all([valueOf(out), ...inputs.map(gradientOf)]);
  return results.flatMap((numbers) => Array.from(numbers));
}

const choice = tuple(nat(2), nat(20), nat(20));

describe('the planner', () => {
  test('gives the same program when a tape is planned twice', () => {
    assert(
      property(array(choice, { minLength: 1, maxLength: 12 }), (choices) => {
        const { graph, out } = differentiated(choices);
        const [first, second] = [graph.plan([out]), graph.plan([out])];
        expect(String(second)).toBe(String(first));
        expect(second.instructions).toEqual(first.instructions);
      }),
      { numRuns: 100, seed: 20261123 },
    );
  });

  test('never changes a result by sharing memory', async () => {
    await assert(
      asyncProperty(array(choice, { minLength: 1, maxLength: 12 }), async (choices) => {
        const [lean, spacious] = [await run(choices, true), await run(choices, false)];
        lean.forEach((x, i) => expect(x).toBeCloseTo(spacious[i], 9));
      }),
      { numRuns: 300, seed: 20261123 },
    );
  });

  test('shares no memory between strands that one of them writes', async () => {
    await assert(
      asyncProperty(
        array(array(choice, { minLength: 1, maxLength: 6 }), { maxLength: 4 }),
        async (strands) => {
          const graph = new Graph();
          const { t } = graph;
          const inputs = ['x', 'y'].map((name) => graph.input(name, [3, 3]));
          const before = inputs.map((input) => t.gelu(input)); // last read in a strand, or never
          const results: Value[] = [];
          for (const choices of strands) t.strand(() => results.push(randomGraph(t, before, choices)));
          const out = results.reduce((sum, result) => t.add(sum, result), t.gelu(inputs[0]));
          const { instructions } = graph.plan([out]);
          expect(collisionsOfStrands(instructions)).toEqual([]);
          const isInStrand = instructions.map(({ strand }) => strand !== undefined);
          expect(isInStrand.filter(Boolean)).toHaveLength(strands.flat().length);
          const numbers = inputs.map(
            (input, i) => [input, Array.from({ length: 9 }, (_, k) => Math.sin(1 + i * 9 + k))] as const,
          );
          const everything = t.nodes.flatMap((node) => writes(node));
          const [lean, spacious] = await Promise.all(
            [[out], everything].map(async (keep) => {
              const { valueOf } = await graph.run(createReferenceBackend('float64'), numbers, keep);
              return Array.from(await valueOf(out));
            }),
          );
          lean.forEach((x, i) => expect(x).toBeCloseTo(spacious[i], 9));
        },
      ),
      { numRuns: 200, seed: 20261130 },
    );
  });

  test('copies a sum that an adjacent strand reads, instead of adding to it in place', () => {
    const graph = new Graph();
    const { t } = graph;
    const x = graph.input('x', [4, 4]);
    const sum = t.gelu(x);
    t.strand(() => t.gelu(sum));
    const added: Value = { ...t.local([4, 4]), base: sum };
    const product = { a: x, b: x, bias: null, c: added, M: 4, N: 4, K: 4, transA: 0, transB: 0 };
    t.strand(() => t.emit('gemm', product));
    const { instructions } = graph.plan([added]);
    expect(instructions.map(({ kernel, strand }) => [kernel, strand])).toEqual([
      ['gelu', undefined],
      ['gelu', 0],
      ['copy', 1],
      ['gemm', 1],
    ]);
    expect(collisionsOfStrands(instructions)).toEqual([]);
  });

  test('refuses a strand that reads what one beside it writes, and a strand within a strand', () => {
    const graph = new Graph();
    const { t } = graph;
    const values = [t.gelu(graph.input('x', [4]))];
    for (let i = 0; i < 2; i++) t.strand(() => values.push(t.gelu(values[i])));
    expect(() => graph.plan()).toThrow(/gelu .* which an adjacent strand writes/);
    expect(() => t.strand(() => t.strand(() => {}))).toThrow('a strand within a strand');
  });

  test.each(['write', 'read'])(
    'refuses strands that use fixed memory, of which the second has a %s',
    (second) => {
      const graph = new Graph();
      const { t } = graph;
      const x = graph.input('x', [64]);
      const region = graph.layout.allocate(64);
      const whole = t.external('whole', [64], region);
      const half = t.external('half', [32], { ...region, offset: region.offset + 32, length: 32 });
      const writing = () => t.emit('copy', { x, y: whole, n: 64 });
      const reading = () => t.gelu(half);
      t.strand(second === 'write' ? reading : writing);
      t.strand(second === 'write' ? writing : reading);
      expect(() => graph.plan()).toThrow(/which an adjacent strand writes/);
    },
  );

  test('lets the values of a strand share memory with each other, and with strands elsewhere', () => {
    const graph = new Graph();
    const { t } = graph;
    let x: Value = graph.input('x', [64]);
    const chain = (from: Value): Value => {
      let y = from;
      for (let i = 0; i < 10; i++) y = t.softmax(y);
      return y;
    };
    for (let group = 0; group < 3; group++) {
      const ends: Value[] = [];
      for (let strand = 0; strand < 2; strand++) t.strand(() => ends.push(chain(x)));
      x = t.add(ends[0], ends[1]);
    }
    // Two values for each of two strands; their ends and the sum they begin with live as long as both.
    expect(graph.plan([x]).end - graph.layout.end).toBeLessThanOrEqual(7 * 64);
  });

  test('lets values with disjoint lifetimes share memory', () => {
    const graph = new Graph();
    let x: Value = graph.input('x', [64]);
    for (let i = 0; i < 10; i++) x = graph.t.softmax(x);
    expect(graph.plan([x]).end - graph.layout.end).toBe(2 * 64);
  });

  test('adds the gradient of a residual connection in place, without copies', () => {
    const graph = new Graph();
    const { t } = graph;
    const W = graph.parameter('W', [8, 8]);
    let x: Value = graph.input('x', [4, 8]);
    for (let i = 0; i < 3; i++) x = t.add(x, t.linear(t.gelu(x), W, null));
    graph.differentiate(x);
    const copies = graph.plan().instructions.filter(({ kernel }) => kernel === 'copy');
    expect(copies.length).toBe(1); // of the external start, which must survive
  });

  test('prints every instruction with shapes and offsets', () => {
    const graph = new Graph();
    const x = graph.input('x', [2, 3]);
    const y = graph.t.scope('h.0', () => graph.t.gelu(x));
    expect(String(graph.plan([y]))).toMatch(/0 {2}gelu +h\.0 +x=\[2,3\]@0 y=\[2,3\]@16 n=6/);
  });
});
