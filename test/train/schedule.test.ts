import { describe, expect, test } from 'vitest';
import {
  hasDecayEnd,
  learningRateAt,
  learningRateAtPeak,
  scheduleNames,
  type ScheduleOptions,
} from '../../src/train/schedule.ts';

const base: ScheduleOptions = {
  schedule: 'cosine',
  learningRate: 1e-3,
  minLearningRate: 1e-4,
  warmupIters: 100,
  decayIters: 2000,
  decayStart: 1600,
};

describe('the learning rate', () => {
  test('warms up as nanoGPT does: step 0 already moves', () => {
    expect(learningRateAt(0, base)).toBeCloseTo(1e-3 / 101, 15);
    expect(learningRateAt(99, base)).toBeCloseTo((1e-3 * 100) / 101, 15);
  });
  test.each([
    ['cosine', 1050, 5.5e-4],
    ['linear', 1050, 5.5e-4],
    ['cosine', 575, 1e-4 + 9e-4 * 0.5 * (1 + Math.SQRT1_2)],
    ['linear', 575, 7.75e-4],
    ['constant', 1999, 1e-3],
    ['inverse-sqrt', 100, 1e-3],
    ['inverse-sqrt', 403, 5e-4],
    ['inverse-sqrt', 2524, 2e-4],
    ['wsd', 100, 1e-3],
    ['wsd', 1600, 1e-3],
    ['wsd', 1800, 5.5e-4],
    ['wsd', 2000, 1e-4],
  ] as const)('%s at step %i', (schedule, step, expected) => {
    expect(learningRateAt(step, { ...base, schedule })).toBeCloseTo(expected, 12);
  });
  test.each([
    [1600, 1e-3],
    [1601, 1e-4 + 9e-4 * 0.95],
    [1700, 5.5e-4],
    [1900, 1e-4 + 9e-4 * (1 - Math.sqrt(0.75))],
    [2000, 1e-4],
  ])('a 1-sqrt decay of wsd at step %i', (step, expected) => {
    const decayed = { ...base, schedule: 'wsd', decayType: '1-sqrt' } as const;
    expect(learningRateAt(step, decayed)).toBeCloseTo(expected, 12);
    expect(learningRateAt(step, { ...decayed, schedule: 'linear' })).toBe(
      learningRateAt(step, { ...base, schedule: 'linear' }),
    );
  });
  test('peaks after the warm-up and stays at its minimum after the decay', () => {
    expect(learningRateAt(100, base)).toBe(1e-3);
    expect(learningRateAt(2000, base)).toBe(1e-4);
    expect(learningRateAt(10_000, base)).toBe(1e-4);
  });
  test.each(scheduleNames)('%s: starts at the peak without a warm-up', (schedule) => {
    expect(learningRateAt(0, { ...base, schedule, warmupIters: 0 })).toBe(1e-3);
  });
  test('inverse-sqrt is the schedule of the Transformer, d⁻¹ᐟ²·min(t⁻¹ᐟ², t·w⁻³ᐟ²) with d = 512, w = 4000, t from 1', () => {
    const noam = (t: number): number => 512 ** -0.5 * Math.min(t ** -0.5, t * 4000 ** -1.5);
    const options = {
      ...base,
      schedule: 'inverse-sqrt',
      warmupIters: 3999,
      learningRate: noam(4000),
    } as const;
    for (const t of [1, 2, 3999, 4000, 4001, 100_000])
      expect(learningRateAt(t - 1, options) / noam(t)).toBeCloseTo(1, 12);
  });
});

describe('the learning rate of parameters with a peak of their own', () => {
  const steps = [0, 50, 100, 1050, 1800, 2000];
  test.each(scheduleNames)('%s: is the same multiple at every step', (schedule) => {
    const past = [{ ...base, learningRate: 2e-3, until: 40 }];
    const options = { ...base, schedule, past };
    expect(learningRateAtPeak(0.02, 0, options)).toBeCloseTo(10 * learningRateAt(0, options), 15);
    for (const step of steps.slice(1))
      expect(learningRateAtPeak(0.02, step, options)).toBeCloseTo(20 * learningRateAt(step, options), 15);
  });
  test.each(scheduleNames)('%s: keeps its shape beside a peak of 0', (schedule) => {
    const minLearningRate = schedule === 'wsd' ? 1e-3 / 50 : 1e-3 / 10;
    const still = { ...base, schedule, learningRate: 0, minLearningRate: 0 };
    for (const step of steps)
      expect(learningRateAtPeak(0.02, step, still)).toBeCloseTo(
        20 * learningRateAt(step, { ...base, schedule, minLearningRate }),
        15,
      );
  });
});

test('a peak that is lowered with --force does not raise the rate of parameters with a peak of their own', () => {
  const before = { ...base, schedule: 'linear', until: 1000 } as const;
  const from = learningRateAt(999, before);
  const rewarm = { rewarmStart: 1000, rewarmIters: 50, rewarmFrom: from, decayIters: 3000, decayStart: 1050 };
  for (const learningRate of [1e-5, 1e-4, 1e-3, 2e-3]) {
    const options = { ...base, schedule: 'linear', learningRate, past: [before], ...rewarm } as const;
    const rate = (step: number): number => learningRateAtPeak(0.02, step, options);
    expect(rate(1000) / rate(999)).toBeCloseTo(1, 1);
    for (let step = 1000; step < 3100; step += 10) expect(rate(step)).toBeLessThanOrEqual(0.02 + 1e-12);
  }
});

describe('the learning rate of an extended run', () => {
  const extended: ScheduleOptions = {
    ...base,
    decayIters: 3000,
    decayStart: 2050,
    rewarmStart: 2000,
    rewarmIters: 50,
    rewarmFrom: 1e-4,
  };
  const decaying = scheduleNames.filter(hasDecayEnd);
  test.each(decaying)('%s: rises linearly to the peak and decays to the new end', (schedule) => {
    const rate = (step: number): number => learningRateAt(step, { ...extended, schedule });
    expect(rate(2000)).toBeCloseTo(1e-4 + 9e-4 / 51, 15);
    expect(rate(2025) - rate(2024)).toBeCloseTo(9e-4 / 51, 15);
    expect(rate(2050)).toBe(1e-3);
    expect(rate(3000)).toBe(1e-4);
    expect(rate(2999)).toBeLessThan(1.1e-3 * 0.1 + 2e-6);
    for (let step = 2051; step < 3000; step++) expect(rate(step)).toBeLessThanOrEqual(rate(step - 1));
  });
  test.each(decaying)('%s: has a plateau where the decay starts later', (schedule) => {
    const rate = (step: number): number => learningRateAt(step, { ...extended, schedule, decayStart: 2800 });
    expect(rate(2800)).toBe(1e-3);
    expect(rate(2900)).toBeCloseTo(5.5e-4, 12);
  });
  test('a step before the re-warm-up, repeated after a rollback, has the learning rate the re-warm-up starts from', () => {
    expect(learningRateAt(1990, extended)).toBe(1e-4);
  });
});
