import { describe, expect, test } from 'vitest';
import { warningsBefore, watchOverfitting } from '../../../src/cli/train/warnings.ts';
import { freshProgress, type TrainEvent } from '../../../src/train/loop.ts';

const plan = {
  settings: { minFrequency: 2, vocabSize: Infinity },
  parameters: 800_000,
  epochs: 5,
  tokens: { train: 1_000_000, validation: 100_000, unknown: 0 },
  config: { blockSize: 128 },
  tokenizer: { kind: 'char', vocabulary: ['a', '<unk>'] },
};

describe('before the first step', () => {
  test('nothing is said about a run as it should be', () => {
    expect(warningsBefore(plan)).toEqual([]);
  });
  test.each([
    [
      'too many parameters',
      { parameters: 10_700_000 },
      '10.7M parameters are many for 1.00M tokens read 5 times',
    ],
    ['no validation text', { tokens: { ...plan.tokens, validation: 0 } }, 'there is no validation text'],
    [
      'a validation text shorter than a block',
      { tokens: { ...plan.tokens, validation: 128 } },
      'the validation text has 128 tokens, less than a block of 128',
    ],
    [
      'many unknown words',
      { tokens: { ...plan.tokens, unknown: 123_200 }, tokenizer: { kind: 'word', vocabulary: ['a'] } },
      '11.2% of the tokens are <unk>',
    ],
    [
      'a text that names <unk>',
      {
        settings: { minFrequency: 1, vocabSize: Infinity },
        tokens: { ...plan.tokens, unknown: 123_200 },
      },
      '11.2% of the tokens are <unk>, which the text names literally',
    ],
    [
      'words of a script without spaces',
      { tokenizer: { kind: 'word', vocabulary: ['话说天下大势', '，', '分久必合', 'a', '<unk>'] } },
      'most of the text is in Han script, which has no spaces between words',
    ],
  ])('%s', (_name, change, message) => {
    const warnings = warningsBefore({ ...plan, ...change });
    expect(warnings.length).toBe(1);
    expect(warnings[0]).toContain(message);
  });
  test('a large model is no harm where the text is read once or twice', () => {
    expect(warningsBefore({ ...plan, parameters: 10_700_000, epochs: 2 })).toEqual([]);
  });
});

describe('overfitting', () => {
  const watched = (losses: readonly (readonly [train: number, validation: number])[]): string[] => {
    const watch = watchOverfitting();
    let best = Infinity;
    return losses.flatMap(([trainLoss, validationLoss], i) => {
      const event: TrainEvent = {
        type: 'evaluation',
        step: 100 * (i + 1),
        trainLoss,
        validationLoss,
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
  test('is told once, with both losses and since when', () => {
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
