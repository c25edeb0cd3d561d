import type { Batch } from '../data/batches.ts';
import { UserError } from '../errors.ts';
import { unlessStopped, type Poll } from '../polling.ts';
import type { EvaluationPass } from './evaluation-pass.ts';

/** The current parameters of a trainer, or their average. */
export type EvaluatedModel = Pick<EvaluationPass, 'addingLosses'>;

/**
 * The mean loss of all counted targets, in nats per token.
 *
 * @param evaluated called after each batch with the number of tokens predicted so far
 * @returns undefined if interrupted
 * @throws UserError if every target is masked
 */
export async function meanLoss(
  model: EvaluatedModel,
  batches: Iterable<Batch>,
  poll: Poll,
  evaluated?: (tokens: number) => void,
): Promise<number | undefined> {
  const total = { sum: 0, count: 0 };
  let seconds: number | undefined;
  for (const batch of batches) {
    const start = performance.now();
    if ((await unlessStopped(model.addingLosses(batch, total, seconds), poll)) === undefined)
      return undefined;
    seconds = (performance.now() - start) / 1000;
    evaluated?.(total.count);
    if (await poll()) return undefined;
  }
  if (total.count === 0) throw nothingToEvaluate();
  return total.sum / total.count;
}

export const nothingToEvaluate = (): UserError =>
  new UserError('text-too-short', 'there is nothing to evaluate on: every target of the split is masked', {
    hint: 'use a validation text with targets that count',
  });
