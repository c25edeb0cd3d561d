/** Checks that a text is long enough for a run, and divided into documents if the run needs them. */
import { checkLength } from '../data/batches.ts';
import { hasBorder } from '../data/token-source.ts';
import { UsageError } from '../errors.ts';
import { formatCountOf } from '../format.ts';
import { optionName } from '../messages.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Settings } from './settings.ts';
import type { TrainingData } from './training-data.ts';

type Splits = Pick<TrainingData, 'train' | 'validation' | 'endId'>;

/**
 * @param isResumed a resumed run keeps the options that it began with
 * @throws UsageError if a split is too short to train on or to evaluate on, or there are no documents to mask
 */
export function checkText(
  data: Splits,
  settings: Settings,
  { blockSize }: ModelConfig,
  { isResumed = false } = {},
): void {
  checkTraining(data, settings, blockSize);
  checkValidation(data, settings, blockSize);
  if (settings.documentMask) checkDocuments(data, isResumed);
}

/** @throws UsageError if the training split is shorter than a context */
export function checkTraining(
  { train, validation }: Pick<TrainingData, 'train' | 'validation'>,
  { valFile }: Pick<Settings, 'valFile'>,
  blockSize: number,
): void {
  const isMostlyValidation = valFile === undefined && validation.length > train.length;
  if (train.length <= blockSize && isMostlyValidation && train.length + validation.length > 2 * blockSize)
    throw new UsageError(
      'text-too-short',
      `the training split has ${formatCountOf(train.length, 'token')}; a ${optionName('blockSize')} of ${blockSize} needs at least ${blockSize + 1}`,
      { hint: `use a smaller ${optionName('valFraction')}` },
    );
  checkLength(train, blockSize);
}

function checkValidation({ train, validation }: Splits, { valFile }: Settings, blockSize: number): void {
  if (validation.length !== 1) return;
  throw new UsageError('text-too-short', 'the validation text is a single token', {
    hint:
      valFile !== undefined
        ? `use a longer ${optionName('valFile')}`
        : train.length - 1 > blockSize
          ? `use a larger ${optionName('valFraction')}`
          : `use a longer text, or ${optionName('valFraction')} 0 to train on all of it`,
  });
}

function checkDocuments({ train, endId }: Splits, isResumed: boolean): void {
  if (endId !== undefined && (isResumed || hasBorder(train, endId))) return;
  throw new UsageError(
    'conflicting-options',
    `${optionName('documentMask')} has no effect: the text to train on is a single document`,
    { hint: `omit it, or divide the text with ${optionName('documents')}` },
  );
}
