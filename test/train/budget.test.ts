import { afterAll, describe, expect, test } from 'vitest';
import { lazyBackend } from '../../src/engine/backend.ts';
import { gpt2Defaults } from '../../src/model/architectures/gpt2.ts';
import { countParameters } from '../../src/model/parameters.ts';
import { budgetSeconds, fitMore, fitToBudget } from '../../src/train/budget.ts';
import { EVALUATION_SHARE } from '../../src/train/expected-costs.ts';
import { chooseModel, maxSteps, type TextFacts } from '../../src/train/choose-model.ts';
import { optionTable } from '../../src/train/options.ts';
import { resolveOptions } from '../../src/train/settings.ts';
import { tokenizers } from '../../src/tokenizer/registry.ts';
import { failure } from '../fixtures/failure.ts';

describe('a time budget', () => {
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
  test('--minutes and --max-iters cannot be combined', () => {
    expect(() => budgetSeconds({ corpus: [], minutes: 1, maxIters: 5 })).toThrow(
      failure('conflicting-options'),
    );
  });
});

describe('the model chosen for a time budget', () => {
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
  test('is small for a small text, and has dropout over many epochs', () => {
    const small = { trainTokens: 50_000, vocabSize: 65 };
    expect(parametersOf(small, 1e15)).toBeLessThan(200_000);
    expect(chooseModel(small, 1e15).dropout).toBe(0.2);
    expect(chooseModel({ ...text, trainTokens: 1e9 }, 1e13).dropout).toBe(0);
  });
  test('sees a short text 80 times at most, in smaller steps', () => {
    const { batchSize, blockSize } = chooseModel({ trainTokens: 9000, vocabSize: 65 }, 1e14);
    const tokensPerStep = batchSize * blockSize;
    expect(tokensPerStep).toBeLessThan(1536 / 2);
    expect(maxSteps(9000, tokensPerStep)).toBe(Math.ceil((80 * 9000) / tokensPerStep));
  });
  test('has 256 tokens of context in three minutes on two threads, and 128 in one', () => {
    const contexts = (facts: TextFacts, minutes: number[], options: object = {}): number[] =>
      minutes.map(
        (count) =>
          chooseModel(facts, count * 2 * 64e9 * 60 * (1 - EVALUATION_SHARE), { corpus: [], ...options })
            .blockSize,
      );
    const [bpe, spelled, words] = [
      { trainTokens: 411_269, vocabSize: 1024 },
      { trainTokens: 351_184, vocabSize: 7407 },
      { trainTokens: 240_000, vocabSize: 20_000 },
    ];
    expect(contexts(text, [1, 3, 10])).toEqual([128, 256, 256]);
    expect(contexts(bpe, [1, 3, 10])).toEqual([128, 256, 256]);
    expect(contexts(spelled, [1, 3, 10])).toEqual([128, 256, 256]);
    // Most of the time goes into a head of 20,000 words, learned positions need more time, and a large model sees few tokens.
    expect(contexts(words, [3, 10])).toEqual([128, 128]);
    expect(contexts(text, [3, 10], { arch: 'gpt2' })).toEqual([128, 256]);
    expect(contexts(text, [3], { nLayer: 6, nHead: 6, nEmbd: 384 })).toEqual([128]);
    expect(contexts(text, [3, 10], { batchSize: 32 })).toEqual([128, 128]);
  });
  test('has a longer context, dropout and a lower learning rate in a long run', () => {
    const [short, long] = [1e13, 8e13].map((flops) => chooseModel(text, flops));
    expect(short).toMatchObject({ blockSize: 128, dropout: 0 });
    expect(long).toMatchObject({ blockSize: 256, dropout: 0.05 });
    expect(long.learningRate).toBeLessThan(0.7 * short.learningRate);
    expect(chooseModel(text, 8e13, { corpus: [], blockSize: 64 }).blockSize).toBe(64);
  });
  test('averages the weights if the text is so short that it ends the run', () => {
    const [short, long] = [{ ...text, trainTokens: 10_000 }, text].map((facts) => chooseModel(facts, 1e12));
    expect([short.emaDecay, long.emaDecay]).toEqual([0.99, 0]);
    expect(
      chooseModel({ ...text, trainTokens: 10_000 }, 1e12, { corpus: [], initFrom: 'run' }).emaDecay,
    ).toBe(0);
  });

  test('has more dropout the more epochs there are: 0.05 for three minutes by bpe on books of a megabyte', () => {
    const threeMinutes = 2 * 64e9 * 180 * (1 - EVALUATION_SHARE);
    const dropoutFor = (trainTokens: number, minutes: number): number =>
      chooseModel({ trainTokens, vocabSize: 1024 }, (minutes / 3) * threeMinutes).dropout;
    expect([403_020, 411_269].map((tokens) => dropoutFor(tokens, 3))).toEqual([0.05, 0.05]);
    expect([1, 10, 30].map((minutes) => dropoutFor(403_020, minutes))).toEqual([0, 0.1, 0.2]);
  });
  test('has dropout after fewer epochs if it has many parameters per token of the text', () => {
    const words = { trainTokens: 240_000, vocabSize: 20_000 };
    const options = { corpus: [], nLayer: 3, nEmbd: 96, nHead: 3 };
    const chosen = (facts: TextFacts, epochs: number, more: object = {}): number =>
      chooseModel(facts, epochs * facts.trainTokens * 6 * 2.2e6, { ...options, ...more }).dropout;
    expect(chosen(words, 6)).toBe(0.1);
    expect(chosen(words, 2)).toBe(0);
    expect(chosen({ ...words, trainTokens: 860_000 }, 6)).toBe(0);
    expect(chosen(words, 6, { initFrom: 'gpt2' })).toBe(0);
  });
  test('has a context length that fits the text', () => {
    for (const trainTokens of [2, 17, 100, 2000, 30_000])
      expect(chooseModel({ ...text, trainTokens }, 1e13).blockSize).toBeLessThan(trainTokens);
  });
});

test('the recipe for a given shape counts what its model computes', () => {
  const shape = { corpus: [], arch: 'gpt2', nLayer: 2, nHead: 2, nEmbd: 64, blockSize: 64 };
  const batchOf = (options: object, vocabSize = 50_000): number =>
    chooseModel({ trainTokens: 1e7, vocabSize }, 1e15, { ...shape, ...options }).batchSize;
  expect(batchOf({}, 100_000)).toBeLessThan(0.8 * batchOf({}));
  // Embeddings are looked up: with a head of its own, a model has more parameters but computes the same.
  expect(batchOf({ tieWordEmbeddings: false })).toBe(batchOf({ tieWordEmbeddings: true }));
});

test('the learning rate falls with the square root of width and, from four million tokens on, of the length', () => {
  const shape = { corpus: [], nLayer: 4, nHead: 4, nEmbd: 128, tieWordEmbeddings: true, batchSize: 12 };
  const rate = (flops: number, options: object = {}): number =>
    chooseModel({ trainTokens: 1e9, vocabSize: 65 }, flops, { ...shape, ...options }).learningRate;
  expect(rate(1e12)).toBe(2.6e-3);
  expect(rate(1e12, { nEmbd: 512, nHead: 16 })).toBe(1.3e-3);
  expect(rate(1e12, { optimizer: 'adamw' })).toBe(3e-3);
  expect(rate(1e12, { optimizer: 'lion' })).toBe(6e-4);
  expect(rate(1e12, { initFrom: 'run', optimizer: 'adamw' })).toBe(6e-4);
  expect(rate(1e12, { initFrom: 'run', optimizer: 'adamw', nEmbd: 768, nHead: 12 })).toBe(1e-4);
  expect(rate(1e9, { initFrom: 'run', optimizer: 'adamw', nEmbd: 8, nHead: 1 })).toBe(0.0096);
  expect(rate(1e12, { initFrom: 'run', optimizer: 'adamw', loraRank: 4, loraTargets: 'q_proj' })).toBe(2e-4);
  expect(rate(4e15) / rate(1e15)).toBeCloseTo(0.5, 1);
});

test('a batch size that is given determines how many tokens fit into the time', () => {
  // Muon's update of 4 layers of 128 channels costs more than a step of 128 tokens: fewer are seen, and the rate stays higher.
  const chosen = (options: object) =>
    chooseModel({ trainTokens: 1e9, vocabSize: 65 }, 1e14, {
      corpus: [],
      nLayer: 4,
      nHead: 4,
      nEmbd: 128,
      blockSize: 128,
      ...options,
    });
  const [usual, small] = [chosen({}), chosen({ batchSize: 1 })];
  expect(small.learningRate / usual.learningRate).toBeGreaterThan(1.3);
  expect(chosen({ batchSize: 1, gradientAccumulationSteps: 64 }).learningRate).toBeLessThanOrEqual(
    usual.learningRate,
  );
  // A step of several micro-batches has no more tokens than one of a single batch.
  const divided = chosen({ gradientAccumulationSteps: 4 });
  expect(divided).toEqual({ ...usual, batchSize: Math.round(usual.batchSize / 4) });
  expect(chosen({ gradientAccumulationSteps: 1000 }).batchSize).toBe(1);
});

describe('the architecture of a new model', () => {
  const chosen = (options: object) =>
    chooseModel({ trainTokens: 1e6, vocabSize: 65 }, 1e13, { corpus: [], ...options });
  test('is Qwen3, trained with Muon', () => {
    expect(chosen({})).toMatchObject({ arch: 'qwen3', optimizer: 'muon', schedule: 'linear', minLr: 0 });
  });
  test.each([
    [{ norm: 'post' }, 'gpt2'],
    [{ nKvHead: 1 }, 'qwen3'],
    [{ arch: 'llama' }, 'llama'],
  ])('has the options that were given: %j: %s', (options, arch) => {
    expect(chosen(options).arch).toBe(arch);
  });
  test('key/value heads that are given divide the heads that are chosen', () => {
    expect(chosen({ nKvHead: 2 }).nHead % 2).toBe(0);
    expect(chosen({ nHead: 4, nEmbd: 128, nKvHead: 2 })).toMatchObject({ nHead: 4, nEmbd: 128 });
    expect(() => chosen({ nKvHead: 7 })).toThrow(failure('bad-option-value', '7'));
  });
  test('the recipe is that of the shape that is given in part', () => {
    expect(chosen({ nEmbd: 1024 }).learningRate).toBeLessThan(chosen({}).learningRate / 2);
    expect(chosen({ blockSize: 1024 }).batchSize).toBeLessThan(chosen({}).batchSize / 4);
  });
  test('its head is tied for a large vocabulary, or if it would have more parameters than the text has tokens', () => {
    const isTied = (trainTokens: number, vocabSize: number, options: object = {}): boolean =>
      chooseModel({ trainTokens, vocabSize }, 1e13, { corpus: [], nEmbd: 96, ...options }).tieWordEmbeddings;
    expect(isTied(250_000, 20_000)).toBe(true);
    expect(isTied(1e7, 2000)).toBe(true);
    expect(isTied(1e7, 1999)).toBe(false);
    expect(isTied(1e7, 2000, { arch: 'llama' })).toBe(true);
    expect(isTied(150_000, 1600)).toBe(true); // 96 channels: 153,600 parameters
    expect(isTied(160_000, 1600)).toBe(false);
    expect(isTied(6000, 65)).toBe(true);
    expect(isTied(1e6, 65, { arch: 'gpt2' })).toBe(true); // as always in GPT-2
    expect(isTied(250_000, 20_000, { tieWordEmbeddings: false })).toBe(false);
  });
  test('a trained model is fine-tuned with AdamW', () => {
    expect(chosen({ initFrom: 'gpt2' }).optimizer).toBe('adamw');
  });
});

const builder = tokenizers.char.vocabulary({ minFrequency: 1, maxSize: Infinity });
builder.push('the whale');
const source = (length: number) => ({ length, slice: () => [] });
const data = { tokenizer: builder.end(), train: source(5000), validation: source(500) };

const engine = lazyBackend({ threads: 1 });
afterAll(() => engine.close());

describe('fitting to a time', () => {
  const fit = (options: object, ranks = 1) =>
    fitToBudget({ corpus: ['a.txt'], ...options }, data, { seconds: 2, engine, ranks, calibration: 0.02 });

  test('turns a time into options that reproduce the run', async () => {
    const { options } = await fit({ minutes: 2 / 60 });
    expect(options).not.toHaveProperty('minutes');
    expect(options).toMatchObject({ schedule: 'linear', nEmbd: 64, evalInterval: expect.any(Number) });
    expect(options.maxIters).toBeGreaterThan(0);
    expect(resolveOptions(options)).toMatchObject(options); // nothing is chosen a second time
  });
  test('chooses what the help gives as defaults with --minutes', async () => {
    const help = (name: string): string => optionTable().get(name)!.defaultHelp!;
    const { options } = await fit({ minutes: 2 / 60 });
    const { maxIters, evalInterval, evalIters, warmupIters, patience, optimizer } = resolveOptions(options);
    expect(help('patience')).toMatch(new RegExp(`^${patience};`));
    expect(help('optimizer')).toMatch(new RegExp(`^${optimizer};`));
    expect(help('evalInterval')).toContain('with --minutes a twentieth');
    expect(evalInterval).toBe(Math.max(1, Math.round(maxIters / 20)));
    expect(help('evalIters')).toContain('with --minutes 2 to 50');
    expect(evalIters).toBeGreaterThanOrEqual(2);
    expect(evalIters).toBeLessThanOrEqual(50);
    expect(help('warmupIters')).toContain('with --minutes a twentieth');
    expect(warmupIters).toBe(Math.min(20, Math.ceil(maxIters / 20)));
  });
  test('explicit options are kept, and the others adapt to them', async () => {
    const given = { nHead: 3, learningRate: 0.5, schedule: 'cosine', batchSize: 2, evalInterval: 7 };
    const { options } = await fit(given);
    expect(options).toMatchObject(given);
    expect(options.nEmbd! % 3).toBe(0);
    const { options: other } = await fit({ nEmbd: 40 });
    expect(40 % other.nHead!).toBe(0);
  });
  test('several ranks get equally many sequences, and evaluate as many as one process', async () => {
    const { options } = await fit({}, 5);
    const { gradientAccumulationSteps, batchSize, evalIters } = resolveOptions(options);
    expect(gradientAccumulationSteps).toBe(5);
    expect(batchSize).toBeGreaterThanOrEqual(1);
    expect(evalIters % 5).toBe(0);
    const { options: divided } = await fit({ batchSize: 12 }, 4);
    expect(divided).toMatchObject({ batchSize: 3, gradientAccumulationSteps: 4 });
    const { options: kept } = await fit({ batchSize: 12, gradientAccumulationSteps: 6 }, 4);
    expect(kept).toMatchObject({ batchSize: 12, gradientAccumulationSteps: 6 });
  });
  test('impossible shapes are refused', async () => {
    await expect(fit({ nEmbd: 10, nHead: 3 })).rejects.toThrow(failure('bad-option-value', '3', '10'));
    await expect(fit({ blockSize: 9000 })).rejects.toThrow(failure('text-too-short', 'blockSize', '9000'));
    await expect(fit({ nEmbd: 65_536, nHead: 1, nLayer: 3 })).rejects.toThrow(failure('out-of-memory'));
  });
});

describe('a schedule that is extended', () => {
  const stored = resolveOptions({ corpus: [], nEmbd: 16, nHead: 1, nLayer: 1, blockSize: 16, maxIters: 100 });
  const more = (options: object) => {
    const before = { ...stored, ...options };
    const extension = { seconds: 1, asked: performance.now(), engine, startStep: 100, before, given: before };
    return fitMore(before, data, { ...extension, given: { corpus: [] } });
  };
  test.each(['cosine', 'linear', 'wsd'])('%s warms up again and decays at the new end', async (schedule) => {
    const { options } = await more({ schedule });
    expect(options.maxIters).toBeGreaterThan(100);
    expect(options).toMatchObject({ rewarmStart: 100, lrDecayIters: options.maxIters });
    expect(options.lrDecayStart).toBeGreaterThanOrEqual(100);
  });
  test('keeps a decay with an end of its own', async () => {
    const { options } = await more({ schedule: 'cosine', lrDecayIters: 90 });
    expect(options.maxIters).toBeGreaterThan(100);
    expect(options).toMatchObject({ rewarmStart: 0, lrDecayIters: 90 });
  });
});
