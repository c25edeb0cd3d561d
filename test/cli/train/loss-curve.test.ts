import { expect, test } from 'vitest';
import { createLossCurve } from '../../../src/cli/train/loss-curve.ts';

test('keeps the means of equally many steps, whatever the length of the run', () => {
  const curve = createLossCurve(4);
  for (let step = 1; step <= 12; step++) curve.add(step, 10 * step);
  // Merged at 4 points, of one step each, and at the next 4 points, of two steps each.
  expect(curve.points).toEqual([
    [4, 25],
    [8, 65],
    [12, 105],
  ]);
});

test('a rollback removes the points after its step', () => {
  const curve = createLossCurve(100);
  for (let step = 1; step <= 5; step++) curve.add(step, step);
  curve.rollBack(3);
  curve.add(4, 40);
  expect(curve.points.map(([step]) => step)).toEqual([1, 2, 3, 4]);
  expect(curve.points.at(-1)).toEqual([4, 40]);
});
