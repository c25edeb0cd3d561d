import { describe, expect, test } from 'vitest';
import { gradientCases } from '../../src/autodiff/gradcheck-cases.ts';
import { isInteger, type GradientCase } from '../../src/autodiff/gradcheck.ts';
import { backends } from '../fixtures/backends.ts';
import { golden, relativeError } from '../fixtures/golden.ts';
import { Graph } from '../fixtures/graph.ts';

/** PyTorch's dropout draws other numbers than ours; its masks are checked in the kernel tests instead. */
const usesRandomNumbers = (check: GradientCase): boolean => check.name.includes('dropout');

describe.each(Object.entries(backends))('%s agrees with PyTorch', (name, make) => {
  const tolerance = name === 'reference float64' ? 1e-8 : 1e-6;
  test.each(
    Object.values(gradientCases)
      .flat()
      .filter((check) => !usesRandomNumbers(check)),
  )('$name', async (check) => {
    const expected = golden.ops[check.name];
    const graph = new Graph();
    const values = Object.fromEntries(
      check.inputs.map((input) => [
        input.name,
        isInteger(input)
          ? graph.input(input.name, input.shape, 'i32')
          : graph.parameter(input.name, input.shape),
      ]),
    );
    const out = check.record(graph.t, values);
    const dOut = graph.differentiate(out);
    const inputs = Object.entries(expected.inputs).map(
      ([input, numbers]) => [values[input], numbers] as const,
    );
    const found = await graph.run(await make(), [...inputs, [dOut, expected.weights]], [out]);
    expect(relativeError(await found.valueOf(out), expected.out)).toBeLessThan(tolerance);
    for (const [input, gradient] of Object.entries(expected.gradients))
      expect(relativeError(await found.gradientOf(values[input]), gradient), input).toBeLessThan(tolerance);
  });
});
