import { afterAll, describe, expect, test } from 'vitest';
import { lazyBackend } from '../../src/engine/backend.ts';
import { gpt2Defaults } from '../../src/model/config.ts';
import { countParameters } from '../../src/model/parameters.ts';
import { budgetSeconds, chooseModel, fitMore, fitToBudget, refit } from '../../src/train/budget.ts';
import { learningRateAt } from '../../src/train/schedule.ts';
import { settle } from '../../src/train/settings.ts';
import { tokenizers } from '../../src/tokenizer/registry.ts';

describe('whether a run is fitted to a time', () => {
  test.each([
    [{}, 180],
    [{ minutes: 10 }, 600],
    [{ nLayer: 2 }, 180],
    [{ maxIters: 100 }, undefined],
    [{ preset: 'nano' }, undefined],
    [{ preset: 'nano', minutes: 1 }, 60],
  ] as const)('%j: %s', (options, seconds) => {
    expect(budgetSeconds({ corpus: [], ...options })).toBe(seconds);
  });
  test('two lengths are one too many', () => {
    expect(() => budgetSeconds({ corpus: [], minutes: 1, maxIters: 5 })).toThrow('both say how long');
  });
});

describe('the model that is chosen', () => {
  const parametersOf = (facts: { trainTokens: number; vocabSize: number }, flops: number) =>
    countParameters({ ...gpt2Defaults, vocabSize: facts.vocabSize, ...chooseModel(facts, flops) });
  const text = { trainTokens: 1e6, vocabSize: 65 };

  test('grows with the time, until the text is too short for more', () => {
    const sizes = [1e12, 1e13, 1e14, 1e15, 1e17, 1e19].map((flops) => parametersOf(text, flops));
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
    expect(sizes[3]).toBeGreaterThan(5 * sizes[0]);
    expect(sizes[5]).toBe(sizes[4]);
    expect(sizes[5]).toBeLessThan(4e6);
  });
  test('is small for a small text, and has dropout when it reads it often', () => {
    const small = { trainTokens: 50_000, vocabSize: 65 };
    expect(parametersOf(small, 1e15)).toBeLessThan(200_000);
    expect(chooseModel(small, 1e15).dropout).toBe(0.2);
    expect(chooseModel({ ...text, trainTokens: 1e9 }, 1e13).dropout).toBe(0);
  });
  test('has a block that fits the text', () => {
    for (const trainTokens of [2, 17, 100, 2000, 30_000])
      expect(chooseModel({ ...text, trainTokens }, 1e13).blockSize).toBeLessThan(trainTokens);
  });
});

const builder = tokenizers.char.vocabulary({ minFrequency: 1, maxSize: Infinity });
builder.push('the whale');
const source = (length: number) => ({ length, slice: () => [] });
const data = { tokenizer: builder.end(), train: source(5000), validation: source(500) };

const engine = lazyBackend({ threads: 1 });
afterAll(() => engine.close());

describe('fitting to a time', () => {
  const fit = (options: object) =>
    fitToBudget({ corpus: ['a.txt'], ...options }, data, { seconds: 2, engine, calibration: 0.02 });

  test('says everything in options and leaves no time in them', async () => {
    const { options } = await fit({ minutes: 2 / 60 });
    expect(options).not.toHaveProperty('minutes');
    expect(options).toMatchObject({ schedule: 'wsd', nEmbd: 64, evalInterval: expect.any(Number) });
    expect(options.maxIters).toBeGreaterThan(0);
    expect(settle(options)).toMatchObject(options); // nothing is chosen a second time
  });
  test('what is given stays, and the rest follows it', async () => {
    const given = { nHead: 3, learningRate: 0.5, schedule: 'cosine', batchSize: 2, evalInterval: 7 };
    const { options } = await fit(given);
    expect(options).toMatchObject(given);
    expect(options.nEmbd! % 3).toBe(0);
    const { options: other } = await fit({ nEmbd: 40 });
    expect(40 % other.nHead!).toBe(0);
  });
  test('what cannot be is refused', async () => {
    await expect(fit({ nEmbd: 10, nHead: 3 })).rejects.toThrow('--n-head 3 does not divide --n-embd 10');
    await expect(fit({ blockSize: 9000 })).rejects.toThrow('--block-size of 9000');
    await expect(fit({ nEmbd: 65_536, nHead: 1, nLayer: 100 })).rejects.toThrow('of memory');
  });
});

describe('a run that is given more time', () => {
  const more = (options: object) =>
    fitMore(
      { corpus: ['a.txt'], nEmbd: 16, nHead: 1, nLayer: 1, blockSize: 16, maxIters: 100, ...options },
      data,
      {
        seconds: 1,
        engine,
        startStep: 100,
      },
    );
  test('goes back to a high learning rate and comes down at the new end', async () => {
    const { options } = await more({ schedule: 'wsd', lrDecayStart: 75, lrDecayIters: 100 });
    expect(options.maxIters).toBeGreaterThan(100);
    expect(options.lrDecayStart).toBeGreaterThanOrEqual(100);
    expect(options.lrDecayIters).toBe(options.maxIters);
  });
  test('keeps another schedule as it was', async () => {
    const { options } = await more({ schedule: 'cosine', lrDecayIters: 100 });
    expect(options.maxIters).toBeGreaterThan(100);
    expect(options.lrDecayIters).toBe(100);
  });
});

describe('keeping to the time', () => {
  const settings = settle({
    corpus: [],
    schedule: 'wsd',
    maxIters: 1000,
    evalInterval: 50,
    lrDecayStart: 750,
  });
  const time = { seconds: 100, last: 0 };
  /** A run whose steps take so long each: where it ends, and when. */
  function simulate(stepSeconds: number) {
    let now = settings;
    let step = 0;
    for (; step < now.maxIters; step++) {
      if (step === 0 || step % now.evalInterval !== 0) continue;
      const elapsed = step * stepSeconds;
      now = refit(now, { step, steps: step, elapsed, training: elapsed, ...time }) ?? now;
    }
    return { seconds: step * stepSeconds, settings: now };
  }
  test.each([0.025, 0.1, 0.17, 0.4])('steps of %s seconds', (stepSeconds) => {
    const { seconds, settings: end } = simulate(stepSeconds);
    expect(Math.abs(seconds - 100)).toBeLessThan(1);
    const share = (end.maxIters - end.lrDecayStart) / end.maxIters;
    expect(share).toBeGreaterThan(0.1);
    expect(share).toBeLessThan(0.4);
    expect(end.lrDecayIters).toBe(end.maxIters);
  });
  test('changes no step that is done: the final options alone give the same learning rates', () => {
    const { settings: end } = simulate(0.17);
    const rate = (step: number, of: typeof settings) =>
      learningRateAt(step, {
        ...of,
        minLearningRate: of.minLr,
        decayIters: of.lrDecayIters,
        decayStart: of.lrDecayStart,
      });
    for (let step = 0; step <= end.lrDecayStart; step++) expect(rate(step, end)).toBe(rate(step, settings));
    expect(rate(end.maxIters, end)).toBe(end.minLr);
  });
  test('a run that has done its last step is not made longer', () => {
    const done = { ...settings, maxIters: 50, lrDecayStart: 50 };
    expect(refit(done, { step: 50, steps: 50, elapsed: 5, training: 5, ...time })).toBeUndefined();
  });
  test('a schedule whose shape depends on its length is left alone', () => {
    const cosine = { ...settings, schedule: 'cosine' as const };
    expect(refit(cosine, { step: 50, steps: 50, elapsed: 50, training: 50, ...time })).toBeUndefined();
  });
});
