/** The work of rank 0: it shares steps and evaluations with the other ranks, which follow its commands (follow.ts). */
import type { Communicator } from '../../collective/communicator.ts';
import type { Batch, StepData } from '../../data/batches.ts';
import type { Device } from '../../engine/device.ts';
import { allParts, type Poll } from '../../polling.ts';
import { addCounted, type LossTotal } from '../evaluation-pass.ts';
import { nothingToEvaluate } from '../mean-loss.ts';
import { OrderedSum } from '../ordered-sum.ts';
import { evaluatedModel, type Evaluated, type StepWork } from '../step-work.ts';
import { NOTHING_COUNTED, stepLoss, type StepResult, type Trainer } from '../trainer.ts';
import { checkAgreement, readinessOf } from './agreement.ts';
import { arraysOf, type Command, type Readiness, type SetUp } from './commands.ts';
import { microBatchesOf } from './gradient-exchange.ts';
import type { Leader } from './leader.ts';
import { bytesOf, receiveMessage, TAG } from './messages.ts';
import { SharedTrainer } from './shared-trainer.ts';

export class RankedWork implements StepWork {
  readonly #leader: Leader;
  readonly #ranks: Communicator;
  readonly #shared: SharedTrainer;

  /**
   * Sets up the model on all ranks.
   *
   * @throws UserError if a rank cannot take part
   */
  static async start(leader: Leader, device: Device, trainer: Trainer, run: SetUp): Promise<RankedWork> {
    const { ranks } = leader;
    await leader.tell({ type: 'set up', run });
    const others = await Promise.all(
      leader.others.map((rank) => receiveMessage<Readiness>(ranks, rank, TAG.reply)),
    );
    checkAgreement(ranks, [readinessOf(device), ...others.map(({ head }) => head)]);
    return new RankedWork(leader, device, trainer);
  }

  private constructor(leader: Leader, device: Device, trainer: Trainer) {
    this.#leader = leader;
    this.#ranks = leader.ranks;
    this.#shared = new SharedTrainer(leader.ranks, device, trainer);
  }

  /** Without interruption, so that all ranks stay in step: a signal takes effect after the step. */
  async stepGradient(
    step: number,
    data: StepData,
    _lastSeconds: number | undefined,
    poll: Poll,
  ): Promise<StepResult> {
    const { microBatches: terms, counted, batches } = data;
    if (counted === 0) return NOTHING_COUNTED;
    const all = [...batches];
    const { size } = this.#ranks;
    const batchesOf = (rank: number): Batch[] => {
      const { start, end } = microBatchesOf(rank, terms, size);
      return all.slice(start, end);
    };
    return this.#leader.together(async () => {
      for (const rank of this.#leader.others)
        await this.#leader.send(rank, { type: 'step', step, terms, counted }, arraysOf(batchesOf(rank)));
      const own = await this.#shared.gradient({ step, terms, counted, batches: batchesOf(0) }, poll);
      const sums = new OrderedSum(terms);
      for (const loss of own.losses) sums.add(loss);
      for (const rank of this.#leader.others) {
        const { start, end } = microBatchesOf(rank, terms, size);
        const losses = new Float64Array(end - start);
        await this.#ranks.receive(rank, TAG.reply, bytesOf(losses));
        for (const loss of losses) sums.add(loss);
      }
      return { loss: stepLoss(sums, data), gradNorm: own.gradNorm };
    });
  }

  update(updates: number, learningRate: number, matrixLearningRate: number): Promise<void> {
    return this.#all({ type: 'update', updates, learningRate, matrixLearningRate }, () =>
      this.#shared.update(updates, learningRate, matrixLearningRate),
    );
  }

  /** Each round assigns one batch to each rank; losses are added in batch order. */
  async meanLoss(
    model: Evaluated,
    batches: Iterable<Batch>,
    poll: Poll,
    evaluated?: (tokens: number) => void,
  ): Promise<number | undefined> {
    if (model === 'average')
      await this.#all({ type: 'all-gather average' }, () => this.#shared.allGatherAverage());
    const total = { sum: 0, count: 0 };
    for (const round of rounds(batches, this.#ranks.size)) {
      await this.#leader.together(() => this.#addLosses(model, round, total));
      evaluated?.(total.count);
      if (await poll()) return undefined;
    }
    if (total.count === 0) throw nothingToEvaluate();
    return total.sum / total.count;
  }

  /** Each rank computes the losses of one batch. */
  async #addLosses(model: Evaluated, [first, ...others]: readonly Batch[], total: LossTotal): Promise<void> {
    for (const [i, batch] of others.entries())
      await this.#leader.send(1 + i, { type: 'evaluate', model }, arraysOf([batch]));
    const own = evaluatedModel(this.#shared.trainer, model);
    addCounted(first, await allParts(own.losses(first, undefined)), total);
    for (const [i, batch] of others.entries()) {
      const losses = new Float64Array(batch.targets.length);
      await this.#ranks.receive(1 + i, TAG.reply, bytesOf(losses));
      addCounted(batch, losses, total);
    }
  }

  stateReplaced(): Promise<void> {
    return this.#all({ type: 'broadcast state' }, () => this.#shared.broadcastState());
  }

  parametersReplaced(): Promise<void> {
    return this.#all({ type: 'broadcast parameters' }, () => this.#shared.broadcastParameters());
  }

  completeState(): Promise<void> {
    return this.#all({ type: 'gather state' }, () => this.#shared.gatherState());
  }

  /** What all ranks do at a command. */
  #all(command: Command, act: () => Promise<void>): Promise<void> {
    return this.#leader.together(async () => {
      await this.#leader.tell(command);
      await act();
    });
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
