import { array, assert, asyncProperty, nat, property, tuple } from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Value } from '../../src/autodiff/graph.ts';
import type { Tape } from '../../src/autodiff/tape.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { Graph } from '../fixtures/graph.ts';

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
