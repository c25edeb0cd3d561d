/** The work of rank 0: it shares steps and evaluations with the other ranks, which follow its commands (follow.ts). */
import type { Communicator } from '../../collective/communicator.ts';
import type { Batch, StepData } from '../../data/batches.ts';
import type { Device } from '../../engine/device.ts';
import type { NamedTensor } from '../../model/tensor.ts';
import type { InParts, Poll } from '../../polling.ts';
import { microBatchesOf, OrderedSum } from '../ordered-sum.ts';
import type { Evaluated, StepWork } from '../step-work.ts';
import { NOTHING_COUNTED, stepLoss, type StepResult, type Trainer } from '../trainer.ts';
import { arraysOf, type Command, type SetUp } from './commands.ts';
import type { GradientDtype } from './gradient-format.ts';
import type { Leader } from './leader.ts';
import { meanLossOfRanks } from './mean-loss-of-ranks.ts';
import { bytesOf, TAG } from './messages.ts';
import { setUpRanks } from './set-up-ranks.ts';
import { SharedTrainer } from './shared-trainer.ts';

export class RankedWork implements StepWork {
  readonly #leader: Leader;
  readonly #ranks: Communicator;
  readonly #shared: SharedTrainer;
  /** Rank 0 has the moments and averages of all ranks. */
  #isComplete = false;

  /**
   * Sets up the model on all ranks.
   *
   * @throws UserError if a rank cannot take part
   */
  static async start(leader: Leader, device: Device, trainer: Trainer, run: SetUp): Promise<RankedWork> {
    await setUpRanks(leader, device, run);
    return new RankedWork(leader, device, trainer, run.reduceDtype);
  }

  private constructor(leader: Leader, device: Device, trainer: Trainer, reduceDtype: GradientDtype) {
    this.#leader = leader;
    this.#ranks = leader.ranks;
    this.#shared = new SharedTrainer(leader.ranks, device, trainer, reduceDtype);
  }

  /** Without interruption, so that all ranks stay in step: a signal takes effect after the step. */
  async stepGradient(step: number, data: StepData): Promise<StepResult> {
    const { microBatches: terms, counted, batches } = data;
    if (counted === 0) return NOTHING_COUNTED;
    const all = [...batches];
    const { size } = this.#ranks;
    const batchesOf = (rank: number): Batch[] => {
      const { start, end } = microBatchesOf(rank, terms, size);
      return all.slice(start, end);
    };
    const { others } = this.#leader;
    const command = { type: 'step', step, terms, counted } as const;
    await Promise.all(others.map((rank) => this.#leader.send(rank, command, arraysOf(batchesOf(rank)))));
    const own = await this.#shared.gradient({ step, terms, counted, batches: batchesOf(0) });
    const sums = new OrderedSum(terms);
    for (const loss of own.losses) sums.add(loss);
    for (const rank of others) {
      const { start, end } = microBatchesOf(rank, terms, size);
      const losses = new Float64Array(end - start);
      await this.#ranks.receive(rank, TAG.reply, bytesOf(losses));
      for (const loss of losses) sums.add(loss);
    }
    return { loss: stepLoss(sums, data), gradNorm: own.gradNorm };
  }

  update(updates: number, learningRate: number, matrixLearningRate: number): Promise<void> {
    this.#isComplete = false;
    return this.#all({ type: 'update', updates, learningRate, matrixLearningRate }, () =>
      this.#shared.update(updates, learningRate, matrixLearningRate),
    );
  }

  findFault(step: number, data: StepData): InParts<string> {
    return this.#shared.trainer.findFault(step, data);
  }

  finishStep(): Promise<void> {
    return Promise.resolve();
  }

  /** See meanLossOfRanks. */
  async meanLoss(
    model: Evaluated,
    batches: Iterable<Batch>,
    poll: Poll,
    evaluated?: (tokens: number) => void,
  ): Promise<number | undefined> {
    if (model === 'average')
      await this.#all({ type: 'all-gather average' }, () => this.#shared.allGatherAverage());
    return meanLossOfRanks(this.#leader, this.#shared.trainer, model, batches, poll, evaluated);
  }

  stateReplaced(): Promise<void> {
    this.#isComplete = true;
    return this.#all({ type: 'broadcast state' }, () => this.#shared.broadcastState());
  }

  parametersReplaced(): Promise<void> {
    return this.#all({ type: 'broadcast parameters' }, () => this.#shared.broadcastParameters());
  }

  async completeState(): Promise<readonly NamedTensor[]> {
    if (!this.#isComplete) await this.#all({ type: 'gather state' }, () => this.#shared.gatherState());
    this.#isComplete = true;
    return [];
  }

  takeMean(): Promise<void> {
    return Promise.resolve();
  }

  /** Sends a command, and executes rank 0's part of it. */
  async #all(command: Command, act: () => Promise<void>): Promise<void> {
    await this.#leader.tell(command);
    await act();
  }
}
