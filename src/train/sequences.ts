import type { StepSize } from './forced-change.ts';
import type { Settings } from './settings.ts';

/**
 * Number of sequences in the steps before `step`, over all micro-batches. Steps before a change of the batch size with --force
 * count with the earlier size, so that the epoch continues at the same sequence.
 *
 * After a rollback to before such a change, steps are repeated with the new size. The count then runs backwards from the
 * change at that size, possibly below 0: epoch numbers may be negative.
 */
export function sequencesBefore(step: number, settings: StepSize & Pick<Settings, 'forcedChanges'>): number {
  let size: StepSize = settings;
  let count = step * perStep(size);
  for (const change of settings.forcedChanges.toReversed()) {
    const earlier: StepSize = { ...size, ...change.before };
    count += change.step * (perStep(earlier) - perStep(size));
    size = earlier;
  }
  return count;
}

/** The tokens that have been trained on before `step`, as checkpoints record them: at least 0, also after such a rollback. */
export const tokensBefore = (
  step: number,
  settings: StepSize & Pick<Settings, 'forcedChanges' | 'blockSize'>,
): number => Math.max(0, sequencesBefore(step, settings)) * settings.blockSize;

const perStep = ({ batchSize, gradientAccumulationSteps }: StepSize): number =>
  batchSize * gradientAccumulationSteps;
