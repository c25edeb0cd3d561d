import { expect, test } from 'vitest';
import { startPace } from '../../../src/cli/train/pace.ts';

/** A pace whose clock moves by so many milliseconds a step. */
function walk(steps: readonly number[], startStep = 0) {
  let now = 1000;
  const pace = startPace(startStep, 100, () => now);
  steps.forEach((milliseconds, i) => {
    now += milliseconds;
    pace.mark(startStep + i + 1);
  });
  return pace;
}

test('there is no estimate before the first step', () => {
  const pace = walk([]);
  expect(pace.tokensPerSecond).toBe(0);
  expect(pace.left(10)).toBe(Infinity);
});

test('a steady run', () => {
  const pace = walk(
    Array.from({ length: 50 }, () => 20),
    7,
  );
  expect(pace.tokensPerSecond).toBeCloseTo(5000, 6);
  expect(pace.left(107)).toBeCloseTo(1, 6);
  expect(pace.elapsed).toBeCloseTo(1, 6);
});

test('a CPU that gets slower: only the last twenty seconds count', () => {
  const pace = walk([...Array.from({ length: 1000 }, () => 20), ...Array.from({ length: 300 }, () => 200)]);
  expect(pace.tokensPerSecond).toBeCloseTo(500, 0);
});

test('a rollback restarts the estimate', () => {
  let now = 0;
  const pace = startPace(0, 100, () => now);
  for (let step = 1; step <= 40; step++) {
    now += 500;
    pace.mark(step);
  }
  pace.mark(1);
  now += 1000;
  pace.mark(2);
  now += 1000;
  pace.mark(3);
  expect(pace.tokensPerSecond).toBeCloseTo(100, 6);
});
