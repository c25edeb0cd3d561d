import type { Batch } from '../../data/batches.ts';
import { allParts, type Poll } from '../../polling.ts';
import { addCounted, type LossTotal } from '../evaluation-pass.ts';
import { nothingToEvaluate } from '../mean-loss.ts';
import { evaluatedModel, type Evaluated } from '../step-work.ts';
import type { Trainer } from '../trainer.ts';
import { arraysOf } from './commands.ts';
import type { Leader } from './leader.ts';
import { bytesOf, TAG } from './messages.ts';

/**
 * See meanLoss. Each round assigns one batch to each rank; losses are added in batch order.
 *
 * @param trainer of rank 0; all ranks have the same parameters
 */
export async function meanLossOfRanks(
  leader: Leader,
  trainer: Trainer,
  model: Evaluated,
  batches: Iterable<Batch>,
  poll: Poll,
  evaluated?: (tokens: number) => void,
): Promise<number | undefined> {
  const total = { sum: 0, count: 0 };
  for (const round of rounds(batches, leader.ranks.size)) {
    await addLosses(leader, trainer, model, round, total);
    evaluated?.(total.count);
    if (await poll()) return undefined;
  }
  if (total.count === 0) throw nothingToEvaluate();
  return total.sum / total.count;
}

/** Each rank computes the losses of one batch. */
async function addLosses(
  leader: Leader,
  trainer: Trainer,
  model: Evaluated,
  [first, ...others]: readonly Batch[],
  total: LossTotal,
): Promise<void> {
  const command = { type: 'evaluate', model } as const;
  await Promise.all(others.map((batch, i) => leader.send(1 + i, command, arraysOf([batch]))));
  const own = evaluatedModel(trainer, model);
  addCounted(first, await allParts(own.losses(first, undefined)), total);
  for (const [i, batch] of others.entries()) {
    const losses = new Float64Array(batch.targets.length);
    await leader.ranks.receive(1 + i, TAG.reply, bytesOf(losses));
    addCounted(batch, losses, total);
  }
}

/** Up to `size` batches at a time. */
function* rounds(batches: Iterable<Batch>, size: number): Generator<Batch[]> {
  let round: Batch[] = [];
  for (const batch of batches) {
    round.push(batch);
    if (round.length < size) continue;
    yield round;
    round = [];
  }
  if (round.length > 0) yield round;
}
