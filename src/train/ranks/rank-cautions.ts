/** Warnings about options that do not suit the number of ranks. */
import { formatPercent } from '../../format.ts';
import type { Caution } from '../cautions.ts';
import type { GivenOptions } from '../options.ts';
import type { BatchOptions } from './split-batch.ts';

export function cautionsAboutRanks(
  given: Pick<GivenOptions, 'reduceDtype' | 'syncEvery'>,
  { batchSize, gradientAccumulationSteps: microBatches }: BatchOptions,
  ranks: number,
): Caution[] {
  if (ranks === 1)
    return given.reduceDtype === 'bf16' && given.syncEvery === undefined
      ? [{ option: 'reduceDtype', why: 'has no effect in a single process' }]
      : [];
  const busy = microBatches / (ranks * Math.ceil(microBatches / ranks));
  if (busy === 1) return [];
  const divisible = ranks * Math.max(1, Math.round((batchSize * microBatches) / ranks));
  const why = `makes ${microBatches} micro-batches a step for ${ranks} ranks, which are busy ${formatPercent(busy, 0)} of the time; ${divisible} sequences a step would divide evenly`;
  return [{ option: 'batchSize', why }];
}
