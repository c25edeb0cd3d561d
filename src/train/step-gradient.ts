import { unlessStopped, type Poll } from '../polling.ts';
import type { StepData } from '../data/batches.ts';
import { OrderedSum } from './ordered-sum.ts';
import { NOTHING_COUNTED, stepLoss, type StepResult, type Trainer } from './trainer.ts';

/**
 * Forward and backward pass over the micro-batches of a step, polling for an interruption.
 *
 * @param step counted from 0
 * @param lastSeconds duration of the last step; undefined if not known yet
 * @returns undefined if interrupted: the gradients are then incomplete, parameters and moments unchanged
 */
export async function stepGradient(
  trainer: Trainer,
  step: number,
  data: StepData,
  lastSeconds: number | undefined,
  poll: Poll,
): Promise<StepResult | undefined> {
  if (data.counted === 0) return NOTHING_COUNTED;
  const seconds = lastSeconds && lastSeconds / data.microBatches;
  const losses = new OrderedSum(data.microBatches);
  let micro = 0;
  for (const batch of data.batches) {
    if (micro > 0 && (await poll())) return undefined;
    const sum = await unlessStopped(trainer.accumulating(step, micro++, data, batch, seconds), poll);
    if (sum === undefined) return undefined;
    losses.add(sum.value);
  }
  return { loss: stepLoss(losses, data), gradNorm: await trainer.gradNorm() };
}
