/**
 * The work of rank 0 in a run with `--sync-every`: every rank trains a replica of the model on its own micro-batches, and an
 * outer step synchronizes them every few steps (replica.ts). Rank 0 sends batches and decisions ahead, and waits for the others
 * only where all exchange parameters.
 */
import { handled } from '../../collective/handled.ts';
import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { stepOf, type Batch, type StepData } from '../../data/batches.ts';
import type { Device } from '../../engine/device.ts';
import type { NamedTensor } from '../../model/tensor.ts';
import type { InParts, Poll } from '../../polling.ts';
import { microBatchesOf } from '../ordered-sum.ts';
import { arraysOf, type SetUp } from '../ranks/commands.ts';
import type { Leader } from '../ranks/leader.ts';
import { TAG } from '../ranks/messages.ts';
import { meanLossOfRanks } from '../ranks/mean-loss-of-ranks.ts';
import { setUpRanks } from '../ranks/set-up-ranks.ts';
import type { Evaluated, StepWork } from '../step-work.ts';
import type { StepResult, Trainer } from '../trainer.ts';
import type { ReplicaCommand } from './commands.ts';
import type { OuterOptions } from './outer-step.ts';
import { STEP_ACKNOWLEDGEMENT } from './execute-command.ts';
import { Replica, type InnerStep } from './replica.ts';
import { haveDivergedIn, ReplicaState } from './replica-state.ts';

export interface ReplicaOptions extends OuterOptions {
  /** Steps between synchronizations. */
  readonly syncEvery: number;
}

/**
 * What the replicas have in common: everything before the first update, nothing after one, parameters and average after a
 * synchronization. After the last checkpoint, a model that is evaluated or saved, their mean or the best one, replaces them.
 */
type InCommon = 'everything' | 'nothing' | 'parameters' | 'final model';

export class ReplicatedWork implements StepWork {
  readonly #leader: Leader;
  readonly #replica: Replica;
  readonly #syncEvery: number;
  /** Commands in transit to ranks that may be steps behind. */
  #sent: Promise<void>[] = [];
  /** Acknowledgements of the other ranks, one for each step that they have been sent. */
  #acknowledged: Promise<void>[] = [];
  #inCommon: InCommon = 'everything';

  /**
   * Sets up a replica on all ranks.
   *
   * @throws UserError if a rank cannot take part
   */
  static async start(
    leader: Leader,
    device: Device,
    trainer: Trainer,
    run: SetUp,
    options: ReplicaOptions,
  ): Promise<ReplicatedWork> {
    await setUpRanks(leader, device, { ...run, outer: options });
    const replica = new Replica(leader.ranks, device, trainer, options);
    return new ReplicatedWork(leader, replica, options.syncEvery);
  }

  private constructor(leader: Leader, replica: Replica, syncEvery: number) {
    this.#leader = leader;
    this.#replica = replica;
    this.#syncEvery = syncEvery;
  }

  /** Loss and norm are those of rank 0's micro-batches. If it abandons or skips a step, the others compute theirs in vain. */
  stepGradient(
    step: number,
    data: StepData,
    _lastSeconds: number | undefined,
    poll: Poll,
  ): Promise<StepResult | undefined> {
    const [own, ...shares] = this.#sharesOf(data);
    for (const [i, rank] of this.#leader.others.entries()) {
      const { first, batches } = shares[i];
      this.#send(rank, { type: 'inner step', step, first }, arraysOf(batches));
      const done = this.#leader.ranks.receive(rank, TAG.reply, new Uint8Array(STEP_ACKNOWLEDGEMENT));
      this.#acknowledged.push(handled(done)); // awaited before the next collective command
    }
    return this.#replica.gradient({ step, ...own }, poll);
  }

  /** The micro-batches of each rank. */
  #sharesOf({ microBatches, batches }: StepData): Omit<InnerStep, 'step'>[] {
    const all = [...batches];
    const { size } = this.#leader.ranks;
    return Array.from({ length: size }, (_, rank) => {
      const { start, end } = microBatchesOf(rank, microBatches, size);
      return { first: start, batches: all.slice(start, end) };
    });
  }

  /** In the gradient of rank 0, whose loss is known. */
  findFault(step: number, data: StepData): InParts<string> {
    const [own] = this.#sharesOf(data);
    return this.#replica.trainer.findFault(step, stepOf(own.batches));
  }

  update(updates: number, learningRate: number, matrixLearningRate: number): Promise<void> {
    this.#inCommon = 'nothing';
    const command = { type: 'inner update', updates, learningRate, matrixLearningRate } as const;
    for (const rank of this.#leader.others) this.#send(rank, command);
    return this.#replica.update(updates, learningRate, matrixLearningRate);
  }

  async finishStep(done: number): Promise<void> {
    if (done % this.#syncEvery !== 0) return;
    await this.#all({ type: 'synchronize' }, () => this.#replica.synchronize());
    this.#inCommon = 'parameters';
  }

  /** Evaluates the common parameters. Between two synchronizations, which is only at the end of a run, these are their mean. */
  async meanLoss(
    model: Evaluated,
    batches: Iterable<Batch>,
    poll: Poll,
    evaluated?: (tokens: number) => void,
  ): Promise<number | undefined> {
    await this.takeMean();
    return meanLossOfRanks(this.#leader, this.#replica.trainer, model, batches, poll, evaluated);
  }

  /** Averages the replicas instead of an outer step, which after few inner ones would be mostly momentum. */
  async takeMean(): Promise<void> {
    if (this.#inCommon !== 'nothing') return;
    await this.#all({ type: 'take mean' }, () => this.#replica.takeMean());
    this.#inCommon = 'final model';
  }

  async stateReplaced(checkpoint?: Checkpoint): Promise<void> {
    const { programs } = this.#replica.trainer;
    let state: ReplicaState | undefined;
    checkpoint?.loadReplicas((names) => {
      state = new ReplicaState(programs, this.#leader.ranks.size, haveDivergedIn(names));
      return state.tensors();
    });
    if (state === undefined) {
      this.#inCommon = 'everything';
      return this.#all({ type: 'start alike' }, () => this.#replica.startAlike());
    }
    const { haveDiverged } = state;
    this.#inCommon = haveDiverged ? 'nothing' : 'parameters';
    return this.#all({ type: 'restore', haveDiverged }, () => this.#replica.restore(haveDiverged, state));
  }

  parametersReplaced(): Promise<void> {
    this.#inCommon = 'final model';
    return this.#all({ type: 'broadcast parameters' }, () => this.#replica.broadcastParameters());
  }

  async completeState(): Promise<readonly NamedTensor[]> {
    if (this.#inCommon === 'final model') throw new Error('the replicas have been replaced');
    if (this.#inCommon === 'everything') return [];
    const haveDiverged = this.#inCommon === 'nothing';
    const { programs } = this.#replica.trainer;
    const state = new ReplicaState(programs, this.#leader.ranks.size, haveDiverged);
    await this.#all({ type: 'gather', haveDiverged }, () => this.#replica.gather(haveDiverged, state));
    return state.tensors();
  }

  /** Sends a command, which the rank executes when it reaches it. */
  #send(rank: number, command: ReplicaCommand, arrays?: readonly Int32Array[]): void {
    const sent = this.#leader.send(rank, { type: 'replica', command }, arrays);
    this.#sent.push(handled(sent)); // awaited at the next synchronization
  }

  /**
   * Sends a command to all ranks, and executes rank 0's part of it. First awaits the acknowledgement of each step, so that a
   * rank that is merely slow does not count as lost.
   */
  async #all(command: ReplicaCommand, act: () => Promise<void>): Promise<void> {
    const acknowledged = this.#acknowledged;
    this.#acknowledged = [];
    await Promise.all(acknowledged);
    for (const rank of this.#leader.others) this.#send(rank, command);
    const sent = this.#sent;
    this.#sent = [];
    await Promise.all([act(), ...sent]);
  }
}
