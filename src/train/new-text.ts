/**
 * Resuming a run on another text, which takes --force. Losses on the two texts are not comparable: a harder text would look
 * like divergence, and after an easier one no later model could become the best.
 */
import type { TrainerState } from '../checkpoint/trainer-state.ts';
import type { Batch } from '../data/batches.ts';
import type { Poll } from '../polling.ts';
import { freshHealth } from './divergence.ts';
import { meanLoss } from './mean-loss.ts';
import { optionTable } from './options.ts';
import type { Progress } from './progress.ts';
import type { BestModel } from './session/best-model.ts';
import type { Settings } from './settings.ts';
import { storedValue } from './stored-options.ts';
import type { Trainer } from './trainer.ts';
import type { TrainingData } from './training-data.ts';

/**
 * - `text`: other files, or other tokens of the same files in the training or validation split.
 * - `sample`: the same validation split, but evaluations use another sample of it, or another context for its tokens.
 */
export type TextChange = 'text' | 'sample';

/** How the text differs from the one a checkpoint was trained on; undefined if it does not. */
export function textChange(
  { corpus_sha256, validation_sha256, options }: TrainerState,
  { corpus, validationSha256 }: Pick<TrainingData, 'corpus' | 'validationSha256'>,
  settings: Settings,
): TextChange | undefined {
  const isOther = (change: TextChange): boolean =>
    [...optionTable()].some(
      ([name, { changes }]) =>
        changes === change && storedValue(options, name) !== settings[name as keyof Settings],
    );
  const isNewText =
    corpus_sha256 !== corpus.sha256 || validation_sha256 !== (validationSha256 ?? null) || isOther('text');
  if (isNewText) return 'text';
  return isOther('sample') ? 'sample' : undefined;
}

/**
 * The progress of a checkpoint without measurements on the old text. Training continues from the same step with
 * the same parameters, moments and schedule.
 *
 * @param bestLoss of the best model on the new validation sample, in nats per token
 */
export function forgetOldText(progress: Progress, change: TextChange, bestLoss: number): Progress {
  // No loss compares less than NaN.
  const measured = { ...progress, bestLoss: Number.isFinite(bestLoss) ? bestLoss : Infinity };
  return change === 'text' ? { ...measured, worse: 0, health: freshHealth } : measured;
}

/**
 * Evaluates the best model on the new validation sample and returns the progress to continue with. Afterwards, the
 * trainer holds the parameters of the best model.
 *
 * @returns undefined if interrupted, with nothing saved
 */
export async function remeasureBest(
  trainer: Trainer,
  progress: Progress,
  change: TextChange,
  {
    best,
    validationSample,
    poll,
  }: {
    readonly best: Pick<BestModel, 'load' | 'saveEstimated'>;
    readonly validationSample: Iterable<Batch>;
    readonly poll: Poll;
  },
): Promise<Progress | undefined> {
  if (progress.bestStep === 0) return forgetOldText(progress, change, Infinity);
  best.load();
  const loss = await meanLoss(trainer, validationSample, poll);
  if (loss === undefined) return undefined;
  await best.saveEstimated(progress, loss);
  return forgetOldText(progress, change, loss);
}
