import type { Batch } from '../data/batches.ts';
import { addCounted } from './evaluation-pass.ts';
import { OrderedSum } from './ordered-sum.ts';

/**
 * The results of a step, from a copy of their region.
 *
 * @param batches all micro-batches
 */
export function readStepResults(numbers: Float64Array, batches: readonly Batch[]) {
  const tokens = (numbers.length - 2) / batches.length;
  const losses = new OrderedSum(batches.length);
  for (const [i, batch] of batches.entries()) {
    const own = numbers.subarray(i * tokens, (i + 1) * tokens);
    losses.add(addCounted(batch, own, { sum: 0, count: 0 }).sum);
  }
  const [gradNorm, stopped] = numbers.subarray(-2);
  return { losses, gradNorm, isStopped: stopped !== 0 };
}
