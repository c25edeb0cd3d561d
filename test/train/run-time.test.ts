import { describe, expect, test } from 'vitest';
import { extendRun } from '../../src/train/extension.ts';
import { refit, secondsFor, secondsOfTimedRun, stepsWithin, type Costs } from '../../src/train/run-time.ts';
import { hasDecayEnd, learningRateAt, scheduleNames } from '../../src/train/schedule.ts';
import { scheduleOptions, resolveOptions, type Settings } from '../../src/train/settings.ts';
import { TimeBudget } from '../../src/train/session/time-budget.ts';

const costs: Costs = { step: 0.1, evaluation: 2, checkpoint: 1, last: 5 };

describe('the number of steps for a time', () => {
  test.each([
    ['one at the end', 0, 10, { evalInterval: 0, saveEvery: 0 }, 1 + 3 + 5],
    ['every 5 steps, the last among them', 0, 10, { evalInterval: 5, saveEvery: 0 }, 1 + 2 * 3 + 5],
    ['and one more at an end between two', 4, 7, { evalInterval: 5, saveEvery: 0 }, 0.7 + 3 * 3 + 5],
    ['checkpoints every 2 steps', 3, 4, { evalInterval: 0, saveEvery: 2 }, 0.4 + 3 + 2 + 5],
    ['checkpoints every 2 seconds', 0, 100, { evalInterval: 0, saveEvery: '2s' }, 10 + 3 + 5 + 5],
  ] as const)('evaluations: %s', (_name, step, steps, rhythm, seconds) => {
    expect(secondsFor(steps, step, rhythm, costs)).toBeCloseTo(seconds, 9);
  });
  test.each([0, 1, 7, 250])('is what fits with an evaluation every %i steps', (evalInterval) => {
    const rhythm = { evalInterval, saveEvery: 3 };
    for (const seconds of [12, 60, 1000]) {
      const steps = stepsWithin(seconds, 13, rhythm, costs);
      expect(secondsFor(steps, 13, rhythm, costs)).toBeLessThanOrEqual(seconds);
      expect(secondsFor(steps + 1, 13, rhythm, costs)).toBeGreaterThan(seconds);
    }
  });
  test('is at least one', () => {
    expect(stepsWithin(0, 0, { evalInterval: 1, saveEvery: 0 }, costs)).toBe(1);
    expect(stepsWithin(-5, 0, { evalInterval: 1, saveEvery: 0 }, costs)).toBe(1);
  });
});

describe('a run with a time limit', () => {
  const rhythm = { evalInterval: 0, saveEvery: 0 };
  test.each([
    ['takes the limit', 60, 0, 10_000, 60],
    ['takes less if it has all its steps before', 60, 0, 10, 1 + 3 + 5],
    ['takes less if it has all its steps before, resumed', 60, 300, 10, 1 + 3 + 5],
    ['takes longer if its only step does', 6, 0, 1, 0.1 + 3 + 5],
    ['takes longer if its only step does, resumed', 6, 300, 1, 0.1 + 3 + 5],
  ])('%s', (_what, seconds, startStep, steps, expected) => {
    const found = secondsOfTimedRun({ seconds, costs }, rhythm, { startStep, steps });
    expect(found).toBeCloseTo(expected, 9);
  });
});

/** Costs, or how they change with the time in seconds. */
type Real = Costs | ((now: number) => Costs);

/**
 * Runs a training with these costs by a clock of its own: when it ends, the settings it ends with, and the learning rate of
 * each step.
 */
function simulate(
  start: Settings,
  from: number,
  seconds: number,
  real: Real,
  expected: Costs,
  maxSteps = Infinity,
) {
  let now = 0;
  let settings = start;
  let step = from;
  const costsNow = (): Costs => (typeof real === 'function' ? real(now) : real);
  const { evaluation, last } = costsNow();
  const wholePerSample = evaluation === 0 ? 0 : last / (evaluation / 2);
  const budget = new TimeBudget({
    asked: 0,
    seconds,
    expected,
    maxSteps,
    wholePerSample,
    now: () => 1000 * now,
  });
  const event = (name: 'step' | 'evaluation' | 'checkpoint', before: number, after = 0): void => {
    now += before;
    budget.eventReached(name);
    if (name !== 'checkpoint') settings = budget.refitted(settings, step) ?? settings;
    now += after;
    budget.eventHandled(name);
  };
  const evaluate = (): void => {
    const half = costsNow().evaluation / 2;
    event('evaluation', half, half); // the preview comes after
    event('checkpoint', 0, costsNow().checkpoint);
  };
  const rates: number[] = [];
  while (step < settings.maxIters) {
    rates[step] = learningRateAt(step, scheduleOptions(settings));
    step++;
    event('step', costsNow().step);
    if (settings.evalInterval > 0 && step % settings.evalInterval === 0) evaluate();
  }
  if (settings.evalInterval === 0 || step % settings.evalInterval !== 0) evaluate();
  return { seconds: now + costsNow().last, settings, rates };
}

describe('a run with a time budget ends on time', () => {
  const planned = { corpus: [], maxIters: 1000, evalInterval: 50 };
  const wsd = resolveOptions({ ...planned, schedule: 'wsd', lrDecayStart: 750 });
  const free = { step: 0.1, evaluation: 0, checkpoint: 0, last: 0 };

  test.each([0.025, 0.1, 0.17, 0.4])('a new run with steps of %s seconds', (step) => {
    const { seconds, settings: end } = simulate(wsd, 0, 100, { ...free, step }, free);
    expect(Math.abs(seconds - 100)).toBeLessThan(1);
    const share = (end.maxIters - end.lrDecayStart) / end.maxIters;
    expect(share).toBeGreaterThan(0.1);
    expect(share).toBeLessThan(0.4);
    expect(end.lrDecayIters).toBe(end.maxIters);
  });

  test.each(
    scheduleNames.flatMap(
      (schedule) =>
        [
          [
            schedule,
            'evaluations, previews and checkpoints of many steps',
            { step: 0.001, evaluation: 0.2, checkpoint: 0.1, last: 3 },
            7,
          ],
          [
            schedule,
            'steps slower than measured',
            { step: 0.03, evaluation: 0.2, checkpoint: 0.1, last: 9 },
            40,
          ],
          [
            schedule,
            'steps faster than measured',
            { step: 0.003, evaluation: 0.01, checkpoint: 0.01, last: 0.9 },
            0,
          ],
        ] as const,
    ),
  )('an extended run, %s: %s', (schedule, _name, real, evalInterval) => {
    const expected = { step: 0.01, evaluation: 0.05, checkpoint: 0.03, last: 3 };
    const before = resolveOptions({ ...planned, schedule, evalInterval });
    const maxIters = 1000 + stepsWithin(60, 1000, before, expected);
    const options = extendRun(before, before, { step: 1000, maxIters, isTimed: true, given: {} });
    const { seconds, settings } = simulate(resolveOptions(options), 1000, 60, real, expected);
    expect(Math.abs(seconds - 60)).toBeLessThan(3);
    if (!hasDecayEnd(schedule)) return;
    expect(settings.lrDecayIters).toBe(settings.maxIters);
    expect(settings.lrDecayStart).toBeGreaterThanOrEqual(settings.rewarmStart + settings.rewarmIters);
  });

  test('the final options alone give the learning rates of every step done', () => {
    const { settings: end } = simulate(wsd, 0, 100, { ...free, step: 0.17 }, free);
    const rate = (step: number, of: Settings): number => learningRateAt(step, scheduleOptions(of));
    for (let step = 0; step <= end.lrDecayStart; step++) expect(rate(step, end)).toBe(rate(step, wsd));
    expect(rate(end.maxIters, end)).toBe(end.minLr);
  });

  describe.each([
    { schedule: 'cosine', lrDecayType: 'linear' },
    { schedule: 'linear', lrDecayType: 'linear' },
    { schedule: 'wsd', lrDecayType: 'linear' },
    { schedule: 'wsd', lrDecayType: '1-sqrt' },
  ] as const)('$schedule ($lrDecayType), while the computer', (shape) => {
    const usual = { step: 0.02, evaluation: 0.3, checkpoint: 0.2, last: 2 };
    const times = (of: Costs, factor: number): Costs => ({
      step: factor * of.step,
      evaluation: factor * of.evaluation,
      checkpoint: factor * of.checkpoint,
      last: factor * of.last,
    });
    const settings = resolveOptions({ ...planned, ...shape, maxIters: 2000, evalInterval: 100 });
    const extended = resolveOptions(
      extendRun(settings, settings, { step: 2000, maxIters: 4500, isTimed: true, given: {} }),
    );
    // Extended within its warm-up, where its decay has not begun.
    const early = resolveOptions(
      extendRun(settings, settings, { step: 50, maxIters: 2550, isTimed: true, given: {} }),
    );
    test.each([
      ['becomes slower in the decay', (now: number) => (now > 48 ? 2.5 : 1)],
      ['becomes faster in the decay', (now: number) => (now > 48 ? 0.4 : 1)],
      ['is slower than measured', () => 3],
      ['has bursts of other work', (now: number) => (now % 9 > 6 ? 3 : 1)],
    ] as const)('%s: the run takes its time, and its options give its learning rates', (_name, factor) => {
      for (const [start, from] of [
        [settings, 0],
        [extended, 2000],
        [early, 50],
      ] as const) {
        const run = simulate(start, from, 60, (now) => times(usual, factor(now)), usual);
        expect(run.seconds).toBeLessThan(60 * 1.05);
        expect(run.seconds).toBeGreaterThan(60 * 0.9);
        const { maxIters, minLr, pastSchedules } = run.settings;
        const rate = (step: number): number => learningRateAt(step, scheduleOptions(run.settings));
        const steps = Array.from({ length: maxIters - from }, (_, i) => from + i);
        expect(steps.map(rate)).toEqual(run.rates.slice(from));
        expect(rate(maxIters)).toBe(minLr);
        // Once the decay has begun, no step has a higher rate than the one before it.
        const peak = run.rates.lastIndexOf(Math.max(...run.rates.slice(from)));
        for (let step = peak + 1; step < maxIters; step++)
          expect(rate(step)).toBeLessThanOrEqual(rate(step - 1));
        expect(pastSchedules.length).toBeLessThan(30);
      }
    });
  });

  test('a validation split that takes longer than the whole budget leaves half of it for training', () => {
    const { seconds, settings } = simulate(
      wsd,
      0,
      60,
      { ...free, evaluation: 0.2, last: 200 },
      { ...free, last: 200 },
    );
    expect(seconds).toBeGreaterThan(224);
    expect(seconds).toBeLessThan(232);
    expect(settings.maxIters).toBeGreaterThan(200);
  });

  const pace = { step: 50, steps: 50, left: 95, seconds: 100, costs: free, maxSteps: Infinity };
  test('a run is not extended after its last step', () => {
    expect(refit({ ...wsd, maxIters: 50, lrDecayIters: 50, lrDecayStart: 50 }, pace)).toBeUndefined();
  });
  test('a short text ends a run before its time limit', () => {
    const linear = resolveOptions({ ...planned, schedule: 'linear' });
    expect(refit(linear, { ...pace, maxSteps: 400 })).toMatchObject({ maxIters: 400, lrDecayIters: 400 });
    expect(refit(linear, { ...pace, left: 20, maxSteps: 400 })).toMatchObject({ maxIters: 250 });
  });
  test('corrections below half a percent of the time are not made during the decay', () => {
    const cosine = resolveOptions({ ...planned, schedule: 'cosine' });
    expect(refit(cosine, { ...pace, step: 500, left: 50.3, costs: { ...free } })).toBeUndefined();
    expect(refit(cosine, { ...pace, step: 500, left: 51, costs: { ...free } })).toMatchObject({
      maxIters: 1010,
      lrDecayStart: 500,
      pastSchedules: [{ until: 500, lrDecayIters: 1000 }],
    });
  });
  test('a decay with an explicit end is kept', () => {
    const given = resolveOptions({ ...planned, schedule: 'wsd', lrDecayIters: 700 });
    expect(refit(given, pace)).toEqual({ ...given, maxIters: 50 + 950 });
  });
});
