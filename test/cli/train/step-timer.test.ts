import { expect, test } from 'vitest';
import { startStepTimer } from '../../../src/cli/train/step-timer.ts';

/** A timer whose clock advances by a number of milliseconds per step. */
function walk(steps: readonly number[], startStep = 0) {
  let now = 1000;
  const timer = startStepTimer(startStep, 100, () => now);
  steps.forEach((milliseconds, i) => {
    now += milliseconds;
    timer.mark(startStep + i + 1);
  });
  return timer;
}

test('there is no estimate before the first step', () => {
  const timer = walk([]);
  expect(timer.tokensPerSecond).toBe(0);
  expect(timer.left(10)).toBe(Infinity);
});

test('a steady run', () => {
  const timer = walk(
    Array.from({ length: 50 }, () => 20),
    7,
  );
  expect(timer.tokensPerSecond).toBeCloseTo(5000, 6);
  expect(timer.left(107)).toBeCloseTo(1, 6);
  expect(timer.elapsed).toBeCloseTo(1, 6);
});

test('a CPU that gets slower: only the last twenty seconds count', () => {
  const timer = walk([...Array.from({ length: 1000 }, () => 20), ...Array.from({ length: 300 }, () => 200)]);
  expect(timer.tokensPerSecond).toBeCloseTo(500, 0);
});

test('a rollback restarts the estimate', () => {
  let now = 0;
  const timer = startStepTimer(0, 100, () => now);
  for (let step = 1; step <= 40; step++) {
    now += 500;
    timer.mark(step);
  }
  timer.mark(1);
  now += 1000;
  timer.mark(2);
  now += 1000;
  timer.mark(3);
  expect(timer.tokensPerSecond).toBeCloseTo(100, 6);
});
