import { describe, expect, test } from 'vitest';
import { gradientCases } from '../../src/autodiff/gradcheck-cases.ts';
import { isInteger, type GradientCase } from '../../src/autodiff/gradcheck.ts';
import { differentiate, size, type Value } from '../../src/autodiff/graph.ts';
import { plan } from '../../src/autodiff/plan.ts';
import { createTape } from '../../src/autodiff/tape.ts';
import type { Backend } from '../../src/engine/instruction.ts';
import { Layout, type Region } from '../../src/engine/memory.ts';
import { backends } from '../fixtures/backends.ts';
import { golden, relativeError } from '../fixtures/golden.ts';

/** PyTorch's dropout draws other numbers than ours; its masks are checked in the kernel tests instead. */
const usesRandomNumbers = (check: GradientCase): boolean => check.name.includes('dropout');

function runCase(backend: Backend, check: GradientCase, expected: (typeof golden.ops)[string]) {
  const layout = new Layout();
  const tape = createTape();
  const values: Record<string, Value> = {};
  const gradients = new Map<Value, Region>();
  for (const input of check.inputs) {
    const isIds = isInteger(input);
    const length = size({ shape: input.shape });
    const region = layout.allocate(length, isIds ? 'i32' : 'f32');
    values[input.name] = tape.external(input.name, input.shape, region, !isIds);
    if (!isIds) gradients.set(values[input.name], layout.allocate(length));
  }
  const out = check.record(tape, values);
  const weights = layout.allocate(expected.weights.length);
  const scope = tape.external('weights', out.shape, weights);
  differentiate(tape, out, scope, gradients);
  const program = plan(tape.nodes, layout.end, [out]);
  backend.reserve(program.end);
  for (const [name, numbers] of Object.entries(expected.inputs)) {
    const { offset, dtype } = values[name].region!;
    (dtype === 'i32' ? backend.ints : backend.floats).set(numbers, offset);
  }
  backend.floats.set(expected.weights, weights.offset);
  backend.load(program.instructions).run();
  const at = ({ offset, length }: { offset: number; length: number }) =>
    backend.floats.slice(offset, offset + length);
  return {
    out: at(program.buffer(out)),
    gradients: Object.fromEntries([...gradients].map(([value, region]) => [value.name, at(region)])),
  };
}

describe.each(Object.entries(backends))('%s agrees with PyTorch', (name, make) => {
  const tolerance = name === 'reference float64' ? 1e-8 : 1e-6;
  test.each(
    Object.values(gradientCases)
      .flat()
      .filter((check) => !usesRandomNumbers(check)),
  )('$name', async (check) => {
    const expected = golden.ops[check.name];
    const actual = runCase(await make(), check, expected);
    expect(relativeError(actual.out, expected.out)).toBeLessThan(tolerance);
    for (const [input, gradient] of Object.entries(expected.gradients))
      expect(relativeError(actual.gradients[input], gradient), input).toBeLessThan(tolerance);
  });
});
