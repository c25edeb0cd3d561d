import { describe, expect, test } from 'vitest';
import { warningsBefore, watchTraining } from '../../../src/cli/train/warnings.ts';
import type { Flags } from '../../../src/cli/train/remedies.ts';
import { freshProgress } from '../../../src/train/progress.ts';
import type { TrainEvent } from '../../../src/train/events.ts';

const plan = {
  trainedParameters: 800_000,
  epochs: 5,
  isResumed: false,
  cautions: [],
  tokens: { train: 1_000_000, validation: 100_000, unknown: 0 },
  config: { nLayer: 4, nEmbd: 128, blockSize: 128, dropout: 0 },
  tokenizer: { kind: 'char' },
  corpus: { files: ['book.txt'], crlf: false, isSorted: false },
  isModelChosen: false,
  settings: {
    minFrequency: 1,
    vocabSize: Infinity,
    patience: 0,
    evalInterval: 100,
    learningRate: 1e-3,
    minLr: 1e-4,
    schedule: 'cosine',
    preset: 'nano',
  } as Flags['settings'],
  uniformLoss: Math.log(90),
};
const withSettings = (settings: Partial<Flags['settings']>) => ({
  settings: { ...plan.settings, ...settings },
});
describe('warnings before the first step', () => {
  test('are absent for a normal run', () => {
    expect(warningsBefore(plan)).toEqual([]);
  });
  test.each([
    [
      'too many parameters',
      { trainedParameters: 10_700_000 },
      '10.7M parameters are too many for 1.00M tokens and 5 epochs',
    ],
    ['no validation text', { tokens: { ...plan.tokens, validation: 0 } }, 'there is no validation split'],
    [
      'a validation text shorter than a block',
      { tokens: { ...plan.tokens, validation: 128 } },
      'the validation text has 128 tokens, and a window with the block size of 128 needs 129;',
    ],
    [
      'an option without effect',
      { cautions: [{ option: 'beta1', why: 'has no effect with the optimizer sgd' }] },
      '--beta1 has no effect with the optimizer sgd',
    ],
    [
      'a learning rate that rises to --min-lr',
      withSettings({ minLr: 1 }),
      '--min-lr 1 is above the learning rate of 0.001, which rises to it. A lower --min-lr would help.',
    ],
    [
      'too many parameters where nothing is evaluated before the end',
      { trainedParameters: 10_700_000, ...withSettings({ evalInterval: 0 }) },
      'A smaller --n-embd or --n-layer, --dropout 0.2 or more text would help.',
    ],
    [
      'many unknown words',
      { tokens: { ...plan.tokens, unknown: 123_200 }, tokenizer: { kind: 'word' } },
      '11.2% of the tokens are <unk>',
    ],
    [
      'a text that names <unk>',
      {
        ...withSettings({ minFrequency: 1 }),
        tokens: { ...plan.tokens, unknown: 123_200 },
      },
      '11.2% of the tokens are <unk>, which occurs literally in the text',
    ],
    [
      'unknown words of another text, on which a run is resumed',
      {
        ...withSettings({ minFrequency: 1 }),
        isResumed: true,
        tokens: { ...plan.tokens, unknown: 123_200 },
      },
      '11.2% of the tokens are <unk>, which the model learns to expect',
    ],
    [
      'a validation file with characters that the text lacks',
      {
        ...withSettings({ valFile: 'val.txt' }),
        tokens: { ...plan.tokens, unknown: 16_700, unknownInValidation: 16_700 },
      },
      '16.7% of the validation tokens are <unk>: the text to train on lacks what they stand for, so their loss stays high. --tokenizer bpe would help.',
    ],
    [
      'a literal <unk> in the text, and a validation file with characters that the text lacks',
      {
        ...withSettings({ valFile: 'val.txt' }),
        tokens: { ...plan.tokens, unknown: 70_000, unknownInValidation: 50_000 },
      },
      '50.0% of the validation tokens are <unk>: the text to train on lacks what they stand for',
    ],
    [
      'a literal <unk> in the text and in its validation file',
      {
        ...withSettings({ valFile: 'val.txt' }),
        tokens: { ...plan.tokens, unknown: 123_200, unknownInValidation: 11_200 },
      },
      '11.2% of the tokens are <unk>, which occurs literally in the text',
    ],
    [
      'too many parameters in a single layer',
      { trainedParameters: 10_700_000, config: { ...plan.config, nLayer: 1 } },
      'A smaller --n-embd, --dropout 0.2, --patience 8 or more text would help.',
    ],
    [
      'Windows line ends',
      { corpus: { ...plan.corpus, crlf: true } },
      "which are kept: \\r is a token of its own. To remove them: tr -d '\\r' < book.txt > unix.txt",
    ],
    [
      'Windows line ends in several files',
      { corpus: { ...plan.corpus, files: ['a.txt', 'b.txt'], crlf: true } },
      'dos2unix removes them from files.',
    ],
    [
      'a sorted list',
      { corpus: { ...plan.corpus, files: ['names.txt'], isSorted: true } },
      'so the validation split, the end of the list, may be unlike the rest. If the order of the lines does not matter, they are documents, which are shuffled: --documents lines',
    ],
    [
      'words of a script without spaces',
      { tokenizer: { kind: 'word', unspacedScript: 'Han' } },
      'most of the text is in Han script, which has no spaces between words: words are whole clauses.',
    ],
    [
      'words of such a script that are spelled',
      { tokenizer: { kind: 'word', unspacedScript: 'Thai', hasCharacterFallback: true } },
      'Thai script, which has no spaces between words: words are whole clauses, and rare ones are spelled in characters.',
    ],
  ])('%s', (_name, change, message) => {
    const warnings = warningsBefore({ ...plan, ...change });
    expect(warnings.length).toBe(1);
    expect(warnings[0]).toContain(message);
  });
  test('ignore a sorted text without a validation split', () => {
    const sorted = { ...plan, corpus: { ...plan.corpus, files: ['names.txt'], isSorted: true } };
    expect(warningsBefore({ ...sorted, ...withSettings({ valFile: 'other.txt' }) })).toEqual([]);
  });
  test('ignore a large model that reads the text once or twice', () => {
    expect(warningsBefore({ ...plan, trainedParameters: 10_700_000, epochs: 2 })).toEqual([]);
  });
  test('ignore a model that was chosen for text and time', () => {
    const large = { ...plan, trainedParameters: 10_700_000, epochs: 80 };
    expect(warningsBefore({ ...large, isModelChosen: true })).toEqual([]);
  });
});

describe('never advise a flag that would be refused or changes nothing', () => {
  const overfitted = { trainedParameters: 10_700_000, epochs: 50 };
  const shortValidation = { tokens: { train: 1000, validation: 90, unknown: 0 }, trainedParameters: 10 };
  const unknown = { tokens: { ...plan.tokens, unknown: 123_200 } };
  const unknownInFile = { tokens: { ...unknown.tokens, unknownInValidation: 123_200 } };
  const words = { tokenizer: { kind: 'word', unspacedScript: 'Han' } };
  const spelling = { tokenizer: { kind: 'word', hasCharacterFallback: true } };
  /** What --init-from says itself, and what a resumed run keeps. */
  const refused = {
    'init-from': ['--n-embd', '--n-layer', '--min-frequency', '--vocab-size', '--tokenizer', '--preset'],
    resume: [
      '--n-embd',
      '--n-layer',
      '--dropout',
      '--val-fraction',
      '--val-file',
      '--min-frequency',
      '--vocab-size',
      '--tokenizer',
    ],
  };
  const situations = [
    ['init-from', withSettings({ initFrom: 'gpt2', minFrequency: 3, vocabSize: 500 })],
    ['resume', { isResumed: true, ...withSettings({ minFrequency: 3, vocabSize: 500 }) }],
  ] as const;
  test.each(
    situations.flatMap(([name, situation]) =>
      Object.entries({ overfitted, shortValidation, unknown, words }).map(
        ([fault, change]) => [fault, name, { ...plan, ...change, ...situation }] as const,
      ),
    ),
  )('%s with --%s', (_fault, name, told) => {
    const text = warningsBefore(told).join('\n');
    for (const flag of refused[name]) expect(text).not.toContain(flag);
  });

  const remediesOf = (change: Partial<typeof plan>): string =>
    warningsBefore({ ...plan, ...change }).join('\n');
  test.each([
    [
      { ...overfitted },
      'A smaller --n-embd or --n-layer, --dropout 0.2, --patience 8 or more text would help.',
    ],
    [
      { ...overfitted, config: { ...plan.config, blockSize: 128, dropout: 0.2 } },
      'A smaller --n-embd or --n-layer, --patience 8 or more text would help.',
    ],
    [
      {
        ...overfitted,
        config: { ...plan.config, blockSize: 128, dropout: 0.3 },
        ...withSettings({ patience: 8, initFrom: 'gpt2' }),
      },
      'A shorter run or more text would help.',
    ],
    [{ ...shortValidation }, '--val-fraction 0.13, a --val-file or more text would help.'],
    [{ ...shortValidation, ...withSettings({ valFile: 'val.txt' }) }, 'A longer --val-file would help.'],
    // A text of five characters has no fraction that holds a block and leaves one to learn from.
    [
      {
        tokens: { train: 4, validation: 1, unknown: 0 },
        trainedParameters: 1,
        config: { ...plan.config, blockSize: 2, dropout: 0 },
      },
      'A --val-file or more text would help.',
    ],
    [{ ...unknown }, 'the model learns it, but samples it only with --allow-unk.'],
    [{ ...unknownInFile, ...withSettings({ valFile: 'val.txt' }) }, '--tokenizer bpe would help.'],
    [
      { ...unknown, ...withSettings({ minFrequency: 5, vocabSize: 200 }) },
      'A lower --min-frequency, a larger --vocab-size or --tokenizer bpe would help.',
    ],
    [
      { ...unknown, tokenizer: { kind: 'word' }, ...withSettings({ minFrequency: 5 }) },
      '--rare-words spell, a lower --min-frequency or --tokenizer bpe would help.',
    ],
    [
      { ...unknownInFile, ...spelling, ...withSettings({ minFrequency: 5, valFile: 'val.txt' }) },
      '--tokenizer bpe would help.',
    ],
    [
      {
        ...unknown,
        corpus: { ...plan.corpus, files: ['out/tokens.bin'] },
        ...withSettings({ minFrequency: 2 }),
      },
      'is fixed; `gpt tokenize` creates another.',
    ],
  ])('%j', (change, remedy) => {
    expect(remediesOf(change).endsWith(` ${remedy}`), remediesOf(change)).toBe(true);
  });
});

describe('a learning rate that is too high', () => {
  const ended = (first: number, last: number, change: Partial<typeof plan> = {}): string | undefined => {
    const watch = watchTraining({ ...plan, ...change });
    const step = { type: 'step', gradNorm: 1, learningRate: 3, skipped: undefined, seconds: 1 } as const;
    watch({ ...step, step: 1, loss: first });
    watch({
      type: 'evaluation',
      step: 9,
      trainLoss: last,
      validationLoss: last,
      averaging: undefined,
      best: true,
      progress: freshProgress,
    });
    return watch({
      type: 'end',
      reason: 'finished',
      progress: freshProgress,
      validationLoss: last,
      cause: undefined,
    });
  };
  test.each([
    [
      'of matrices',
      { muonLearningRate: 1 },
      'of 1 for matrices is too high. --muon-learning-rate 0.02 would help.',
    ],
    [
      'of the rest',
      { learningRate: 3, muonLearningRate: 0.02 },
      'of 3 is too high. --learning-rate 0.001 would help.',
    ],
    [
      'of matrices, in fine-tuning',
      { muonLearningRate: 1, learningRate: 1e-4, minLr: 0, initFrom: 'gpt2' },
      'of 1 for matrices is too high. --muon-learning-rate 0.002 would help.',
    ],
  ])('with Muon is the one furthest above the usual: %s', (_, settings, message) => {
    expect(ended(4.5, 4.6, withSettings({ optimizer: 'muon', ...settings }))).toContain(message);
  });
  test('is reported where training ends above the uniform loss, with a rate that works', () => {
    expect(ended(4.5, 4.6, withSettings({ learningRate: 3 }))).toMatch(
      /\b4\.600\b.*\b4\.500 .*learning rate of 3\b.*--learning-rate 0\.001\b/,
    );
  });
  test('is reported where the loss ends clearly above its start, also for fine-tuned and resumed models', () => {
    expect(ended(2, 2.9, withSettings({ initFrom: 'gpt2', learningRate: 0.1 }))).toMatch(
      /\b2\.000 .*--learning-rate 0\.0006\b/,
    );
    expect(ended(2, 2.9, { isResumed: true })).toMatch(/new run.*--learning-rate/);
  });
  test('is not blamed where the rate rises to --min-lr', () => {
    expect(ended(4.5, 5.6, withSettings({ minLr: 1 }))).toMatch(/learning rate of 1 .*--min-lr\b/);
    expect(ended(4.5, 5.6, withSettings({ minLr: 1, schedule: 'constant' }))).toMatch(
      /learning rate of 0\.001 /,
    );
  });
  test('is not reported for a run that has learned, or is too short to learn', () => {
    expect(ended(4.5, 2, withSettings({ learningRate: 3 }))).toBeUndefined();
    expect(ended(4.5, 4.51)).toBeUndefined();
  });
});

describe('overfitting', () => {
  const watched = (losses: readonly (readonly [train: number, validation: number])[]): string[] => {
    const watch = watchTraining(plan);
    let best = Infinity;
    return losses.flatMap(([trainLoss, validationLoss], i) => {
      const event: TrainEvent = {
        type: 'evaluation',
        step: 100 * (i + 1),
        trainLoss,
        validationLoss,
        averaging: undefined,
        best: validationLoss < best,
        progress: freshProgress,
      };
      best = Math.min(best, validationLoss);
      return watch(event) ?? [];
    });
  };
  const parting = [
    [2, 2.1],
    [1.6, 1.8],
    [1.4, 1.79],
    [1.2, 1.8],
    [1.1, 1.82],
    [1, 1.85],
    [0.9, 1.9],
  ] as const;
  test('is reported once, with both losses and the step it began', () => {
    const warnings = watched(parting);
    expect(warnings.length).toBe(1);
    expect(warnings[0]).toContain('overfitting since step 300');
    expect(warnings[0]).toContain('from 1.790 to 1.850');
    expect(warnings[0]).toContain('from 1.400 to 1.000');
  });
  test('is not seen in a loss that falls, levels off or is noisy', () => {
    expect(watched(parting.slice(0, 4))).toEqual([]);
    expect(
      watched([
        [2, 2],
        [1.9, 2.001],
        [1.9, 2.002],
        [1.89, 2.003],
        [1.88, 2.004],
      ]),
    ).toEqual([]);
    expect(
      watched([
        [2, 2],
        [2.1, 2.2],
        [2.2, 2.3],
        [2.3, 2.4],
        [2.4, 2.5],
      ]),
    ).toEqual([]);
  });
});
