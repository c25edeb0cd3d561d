/** How the sequences of a step become micro-batches that ranks can share. */
import { UsageError } from '../../errors.ts';
import { optionName, optionValues } from '../../messages.ts';
import type { Settings, TrainModelOptions } from '../settings.ts';

export type BatchOptions = Required<Pick<TrainModelOptions, 'batchSize' | 'gradientAccumulationSteps'>>;

/**
 * The batch options of a new run that `ranks` processes share: the same sequences in a step, in at least as many micro-batches.
 * They are stored as options of the run, so any number of ranks trains it bit-identically.
 *
 * @param given explicit numbers of micro-batches are kept
 * @throws UsageError if a step has fewer micro-batches or sequences than there are ranks
 */
export function splitBatch(
  { batchSize, gradientAccumulationSteps }: BatchOptions,
  given: Pick<TrainModelOptions, 'gradientAccumulationSteps'>,
  ranks: number,
): BatchOptions {
  if (given.gradientAccumulationSteps !== undefined || gradientAccumulationSteps >= ranks) {
    checkMicroBatches({ batchSize, gradientAccumulationSteps }, ranks);
    return { batchSize, gradientAccumulationSteps };
  }
  const sequences = batchSize * gradientAccumulationSteps;
  for (let parts = ranks; parts <= sequences; parts++)
    if (sequences % parts === 0) return { batchSize: sequences / parts, gradientAccumulationSteps: parts };
  throw new UsageError(
    'conflicting-options',
    `a step has ${sequences} sequences, too few for ${ranks} ranks`,
    { hint: `start at most ${sequences} ranks, or set a ${optionName('batchSize')} of at least ${ranks}` },
  );
}

/** Number of the smaller batches in an evaluation of the same number of sequences. */
export const splitEvaluations = (
  evalIters: number,
  { from, to }: Readonly<Record<'from' | 'to', Pick<BatchOptions, 'batchSize'>>>,
): number => Math.max(1, Math.round((evalIters * from.batchSize) / to.batchSize));

/** @throws UsageError if a step has fewer micro-batches than there are ranks */
export function checkMicroBatches(
  {
    batchSize,
    gradientAccumulationSteps: microBatches,
  }: Pick<Settings, 'batchSize' | 'gradientAccumulationSteps'>,
  ranks: number,
): void {
  if (microBatches >= ranks) return;
  const sequences = batchSize * microBatches;
  const split = sequences % ranks === 0 ? sequences / ranks : 1;
  throw new UsageError(
    'conflicting-options',
    `a step of this run has ${microBatches} micro-batch${microBatches === 1 ? '' : 'es'}, too few for ${ranks} ranks`,
    {
      hint: `start at most ${microBatches} ranks, or a new run with ${optionValues({ batchSize: split, gradientAccumulationSteps: ranks })}`,
    },
  );
}
