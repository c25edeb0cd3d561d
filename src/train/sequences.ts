import type { Settings } from './settings.ts';

type StepSize = Pick<Settings, 'batchSize' | 'gradientAccumulationSteps'>;

/**
 * Sequences in the steps before `step`, in all micro-batches. Steps before a change of the batch size with --force count with
 * the earlier size, so that an epoch continues where it was.
 *
 * After a rollback to before such a change, steps are repeated with the new size. The count then runs backwards from the
 * change at that size, to below 0 if need be: epochs have negative numbers as well.
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

const perStep = ({ batchSize, gradientAccumulationSteps }: StepSize): number =>
  batchSize * gradientAccumulationSteps;
