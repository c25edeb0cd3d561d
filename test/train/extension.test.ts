import { describe, expect, test } from 'vitest';
import { extendRun, type Extension } from '../../src/train/extension.ts';
import { hasDecayEnd, learningRateAt, scheduleNames } from '../../src/train/schedule.ts';
import { scheduleOptions, resolveOptions, type TrainModelOptions } from '../../src/train/settings.ts';

const planned: TrainModelOptions = { corpus: [], maxIters: 400, warmupIters: 20, learningRate: 1e-3 };
const peak = 1e-3;

/** A run of 400 steps, extended after `step`, and the learning rate of each step before and after it. */
function extend(options: Partial<TrainModelOptions>, extension: Partial<Extension> & { step: number }) {
  const before = resolveOptions({ ...planned, ...options });
  const given = { maxIters: 1000, isTimed: false, given: {}, ...extension };
  const after = resolveOptions(extendRun({ ...before, ...given.given }, before, given));
  const rate = (step: number): number =>
    learningRateAt(step, scheduleOptions(step < given.step ? before : after));
  return { before, after, rate };
}

const decaying = scheduleNames.filter(hasDecayEnd);
const cases = decaying.flatMap((schedule) =>
  [5, 20, 150, 350, 400].flatMap((step) =>
    [false, true].map((isTimed) => [schedule, step, isTimed] as const),
  ),
);

describe('an extended run', () => {
  test.each(cases)(
    '%s after step %i (timed: %s): rises to the peak without a jump and ends at the minimum',
    (schedule, step, isTimed) => {
      const { after, rate } = extend({ schedule }, { step, isTimed });
      const { rewarmStart, rewarmIters, minLr } = after;
      expect(after).toMatchObject({ maxIters: 1000, lrDecayIters: 1000 });
      const rises = Array.from({ length: 999 }, (_, i) => [i + 1, rate(i + 1) - rate(i)]);
      const inWarmup = (at: number): boolean =>
        at <= 20 || (at >= rewarmStart && at <= rewarmStart + rewarmIters);
      expect(rises.filter(([at, rise]) => rise > (inWarmup(at) ? peak / 20 : 0))).toEqual([]);
      expect(Math.max(...Array.from({ length: 1000 - step }, (_, i) => rate(step + i)))).toBe(peak);
      expect(rate(1000)).toBe(minLr);
      expect(rate(999)).toBeLessThan(minLr + 0.01 * peak);
    },
  );

  test.each([
    ['cosine', 400, [400, 30]],
    ['linear', 21, [21, 49]],
    ['wsd', 301, [301, 35]],
  ] as const)('%s after step %i: the re-warm-up has these steps: %j', (schedule, step, [start, length]) => {
    const { before, after } = extend({ schedule }, { step });
    expect([after.rewarmStart, after.rewarmIters]).toEqual([start, length]);
    expect(after.rewarmFrom).toBe(learningRateAt(step, scheduleOptions(before)));
  });

  test.each([
    ['cosine', 20],
    ['linear', 3],
    ['wsd', 300],
  ] as const)('%s after step %i, before its decay: as if planned so long', (schedule, step) => {
    const { after } = extend({ schedule }, { step });
    const long = resolveOptions({ ...planned, schedule, maxIters: 1000 });
    const rates = (of: typeof long): number[] =>
      Array.from({ length: 1000 }, (_, at) => learningRateAt(at, scheduleOptions(of)));
    expect(rates(after)).toEqual(rates(long));
  });

  test('a second time: warms up again from the learning rate of the first extension', () => {
    const { after: once } = extend({}, { step: 400 });
    const twice = resolveOptions(
      extendRun(once, once, { step: 900, maxIters: 1500, isTimed: false, given: {} }),
    );
    expect(twice).toMatchObject({ rewarmStart: 900, rewarmIters: 30, lrDecayIters: 1500 });
    expect(twice.rewarmFrom).toBe(learningRateAt(900, scheduleOptions(once)));
    // Stopped within the re-warm-up, the decay has not begun: that one is completed.
    const early = resolveOptions(
      extendRun(once, once, { step: 410, maxIters: 1500, isTimed: false, given: {} }),
    );
    expect(early).toMatchObject({ rewarmStart: 400, rewarmIters: 30, lrDecayIters: 1500 });
  });

  test.each([
    ['a constant rate', { schedule: 'constant' as const }, {}],
    ['a decay without an end', { schedule: 'inverse-sqrt' as const }, {}],
    ['--lr-decay-iters of the run', { lrDecayIters: 700 }, {}],
    ['--lr-decay-iters given with the extension', {}, { lrDecayIters: 400 }],
  ])('%s: only the number of steps changes', (_name, options, given) => {
    const { before, after } = extend(options, { step: 400, given });
    expect(after).toEqual({ ...before, maxIters: 1000 });
  });
});
