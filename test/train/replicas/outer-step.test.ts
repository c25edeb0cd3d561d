import { expect, test } from 'vitest';
import { meanOf, outerStep } from '../../../src/train/replicas/outer-step.ts';
import { golden } from '../../fixtures/golden.ts';

test('three outer steps of three replicas have the values of SGD with Nesterov momentum in PyTorch', () => {
  const { outer } = golden;
  const anchor = Float32Array.from(outer.start);
  const momentum = new Float32Array(anchor.length);
  for (const [round, replicas] of outer.replicas.entries()) {
    outerStep(
      outer,
      anchor,
      momentum,
      replicas.map((parameters) => Float32Array.from(parameters)),
    );
    for (const [i, expected] of outer.anchors[round].entries())
      expect(Math.abs(anchor[i] - expected), `element ${i} of round ${round}`).toBeLessThan(1e-6);
  }
});

test('a learning rate of 1 without momentum continues from the mean of the replicas', () => {
  const anchor = Float32Array.of(1, -2, 0.5);
  const replicas = [Float32Array.of(1.5, -2, 0.25), Float32Array.of(0.5, -3, 0.75)];
  outerStep({ learningRate: 1, momentum: 0 }, anchor, new Float32Array(3), replicas);
  expect([...anchor]).toEqual([1, -2.5, 0.5]);
  expect([...meanOf(replicas, new Float32Array(3))]).toEqual([...anchor]);
});
