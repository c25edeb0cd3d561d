import { describe, expect, test } from 'vitest';
import { checkGradients, TOLERANCE, type GradientCase } from '../../src/autodiff/gradcheck.ts';
import { gradientCases } from '../../src/autodiff/gradcheck-cases.ts';
import { size, type Value } from '../../src/autodiff/graph.ts';
import { defineOp } from '../../src/autodiff/recorder.ts';
import { modelGradientCases } from '../../src/model/gradcheck-cases.ts';

describe('the derivative of every op agrees with a numerical one', () => {
  for (const check of Object.values(gradientCases).flat())
    for (const seed of [1, 2])
      test(`${check.name}, seed ${seed}`, async () => {
        const results = await checkGradients(check, { seed });
        expect(results.length).toBeGreaterThan(0);
        for (const { relativeError } of results) expect(relativeError).toBeLessThan(TOLERANCE / 100);
      });
});

describe('the gradient of a whole model agrees with a numerical one', () => {
  for (const check of modelGradientCases())
    test(check.name, async () => {
      for (const { input, relativeError } of await checkGradients(check, { limit: 30 }))
        expect(relativeError, input).toBeLessThan(TOLERANCE);
    });
});

test('a wrong derivative is found', async () => {
  const wrong = defineOp({
    forward(t, x: Value) {
      const y = t.local(x.shape);
      t.emit('gelu', { x, y, n: size(x) });
      return { out: y, saved: { x } };
    },
    backward(g, dY, { x }) {
      g.add(x, (dX) => g.emit('reluBackward', { x, dY, dX, n: size(x) }));
    },
  });
  const check: GradientCase = {
    name: 'gelu with the derivative of relu',
    inputs: [{ name: 'x', shape: [3, 7] }],
    record: (t, { x }) => t.apply(wrong, x),
  };
  expect((await checkGradients(check))[0].relativeError).toBeGreaterThan(1e-2);
});
