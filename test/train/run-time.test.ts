import { describe, expect, test } from 'vitest';
import { extendRun } from '../../src/train/extension.ts';
import { refit, secondsFor, stepsWithin, TimeKeeper, type Costs } from '../../src/train/run-time.ts';
import { learningRateAt } from '../../src/train/schedule.ts';
import { scheduleOptions, settle, type Settings } from '../../src/train/settings.ts';

const costs: Costs = { step: 0.1, evaluation: 2, checkpoint: 1, last: 5 };

describe('what steps cost', () => {
  test.each([
    ['one at the end', 0, 10, { evalInterval: 0, saveEvery: 0 }, 1 + 3 + 5],
    ['every 5 steps, the last among them', 0, 10, { evalInterval: 5, saveEvery: 0 }, 1 + 2 * 3 + 5],
    ['and one more at an end between two', 4, 7, { evalInterval: 5, saveEvery: 0 }, 0.7 + 3 * 3 + 5],
    ['checkpoints every 2 steps', 3, 4, { evalInterval: 0, saveEvery: 2 }, 0.4 + 3 + 2 + 5],
    ['checkpoints every 2 seconds', 0, 100, { evalInterval: 0, saveEvery: '2s' }, 10 + 3 + 5 + 5],
  ] as const)('evaluations: %s', (_name, step, steps, rhythm, seconds) => {
    expect(secondsFor(steps, step, rhythm, costs)).toBeCloseTo(seconds, 9);
  });
  test.each([0, 1, 7, 250])('as many steps as fit, evaluated every %i', (evalInterval) => {
    const rhythm = { evalInterval, saveEvery: 3 };
    for (const seconds of [12, 60, 1000]) {
      const steps = stepsWithin(seconds, 13, rhythm, costs);
      expect(secondsFor(steps, 13, rhythm, costs)).toBeLessThanOrEqual(seconds);
      expect(secondsFor(steps + 1, 13, rhythm, costs)).toBeGreaterThan(seconds);
    }
  });
  test('at least one', () => {
    expect(stepsWithin(0, 0, { evalInterval: 1, saveEvery: 0 }, costs)).toBe(1);
    expect(stepsWithin(-5, 0, { evalInterval: 1, saveEvery: 0 }, costs)).toBe(1);
  });
});

/** Runs a training with these costs by a clock of its own: when it ends, and the settings it ends with. */
function simulate(start: Settings, from: number, seconds: number, real: Costs, expected: Costs) {
  let now = 0;
  let settings = start;
  let step = from;
  const keeper = new TimeKeeper(0, seconds, expected, () => 1000 * now);
  const event = (name: 'step' | 'evaluation' | 'checkpoint', before: number, after = 0): void => {
    now += before;
    keeper.started(name);
    if (name !== 'checkpoint') settings = keeper.refitted(settings, step) ?? settings;
    now += after;
    keeper.handled(name);
  };
  const evaluate = (): void => {
    event('evaluation', real.evaluation / 2, real.evaluation / 2); // the preview comes after
    event('checkpoint', 0, real.checkpoint);
  };
  while (step < settings.maxIters) {
    step++;
    event('step', real.step);
    if (settings.evalInterval > 0 && step % settings.evalInterval === 0) evaluate();
  }
  if (settings.evalInterval === 0 || step % settings.evalInterval !== 0) evaluate();
  return { seconds: now + real.last, settings };
}

describe('keeping to the time', () => {
  const planned = { corpus: [], maxIters: 1000, evalInterval: 50 };
  const wsd = settle({ ...planned, schedule: 'wsd', lrDecayStart: 750 });
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
    (['cosine', 'linear', 'wsd', 'constant'] as const).flatMap(
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
    const before = settle({ ...planned, schedule, evalInterval });
    const maxIters = 1000 + stepsWithin(60, 1000, before, expected);
    const options = extendRun(before, before, { step: 1000, maxIters, isTimed: true, given: {} });
    const { seconds, settings } = simulate(settle(options), 1000, 60, real, expected);
    expect(Math.abs(seconds - 60)).toBeLessThan(3);
    if (schedule === 'constant') return;
    expect(settings.lrDecayIters).toBe(settings.maxIters);
    expect(settings.lrDecayStart).toBeGreaterThanOrEqual(settings.rewarmStart + settings.rewarmIters);
  });

  test('changes no step that is done: the final options alone give the same learning rates', () => {
    const { settings: end } = simulate(wsd, 0, 100, { ...free, step: 0.17 }, free);
    const rate = (step: number, of: Settings): number => learningRateAt(step, scheduleOptions(of));
    for (let step = 0; step <= end.lrDecayStart; step++) expect(rate(step, end)).toBe(rate(step, wsd));
    expect(rate(end.maxIters, end)).toBe(end.minLr);
  });

  const pace = { step: 50, steps: 50, left: 95, costs: free };
  test('a run that has done its last step is not made longer', () => {
    expect(refit({ ...wsd, maxIters: 50, lrDecayIters: 50, lrDecayStart: 50 }, pace)).toBeUndefined();
  });
  test('a schedule whose shape depends on its length is left alone', () => {
    expect(refit(settle({ ...planned, schedule: 'cosine' }), pace)).toBeUndefined();
  });
  test('a decay with an end of its own is kept', () => {
    const given = settle({ ...planned, schedule: 'wsd', lrDecayIters: 700 });
    expect(refit(given, pace)).toEqual({ ...given, maxIters: 50 + 950 });
  });
});
