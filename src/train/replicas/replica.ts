/**
 * A replica of the model, which takes its inner steps alone and is synchronized with the others every few steps (DiLoCo). Every
 * rank has one; methods that exchange numbers are collective.
 */
import type { Communicator } from '../../collective/communicator.ts';
import { countTargets, type Batch } from '../../data/batches.ts';
import type { Device } from '../../engine/device.ts';
import { unlessStopped, type Poll } from '../../polling.ts';
import { OrderedSum } from '../ordered-sum.ts';
import { broadcastRegion, IN_TRANSIT, type Exchange } from '../ranks/state-exchange.ts';
import { TransitBuffer } from '../ranks/transit-buffer.ts';
import { NOTHING_COUNTED, stepLoss, type StepResult, type Trainer } from '../trainer.ts';
import { OuterOptimizer } from './outer-optimizer.ts';
import type { OuterOptions } from './outer-step.ts';
import type { ReplicaState } from './replica-state.ts';
import { gatherState, restoreState, type ReplicaParts } from './state-transfer.ts';

/** A replica's part of a step. */
export interface InnerStep {
  /** Counted from 0. */
  readonly step: number;
  /** Index in the step of its first micro-batch; with the step it determines the dropout masks. */
  readonly first: number;
  readonly batches: readonly Batch[];
}

export class Replica {
  readonly trainer: Trainer;
  readonly #exchange: Exchange;
  readonly #outer: OuterOptimizer;
  /** The last inner step has gradients to update with. */
  #isUsable = false;
  /** Duration of the last micro-batch. */
  #seconds: number | undefined;

  constructor(ranks: Communicator, device: Device, trainer: Trainer, outer: OuterOptions) {
    this.trainer = trainer;
    this.#exchange = { ranks, device, transit: new TransitBuffer(IN_TRANSIT) };
    this.#outer = new OuterOptimizer(this.#exchange, trainer.programs, outer);
  }

  /** @returns the replica's own loss and gradient norm; undefined if interrupted, with parameters and moments unchanged */
  async gradient({ step, first, batches }: InnerStep, poll: Poll): Promise<StepResult | undefined> {
    const counted = batches.reduce((sum, batch) => sum + countTargets(batch), 0);
    this.#isUsable = false;
    if (counted === 0) return NOTHING_COUNTED;
    const losses = new OrderedSum(batches.length);
    for (const [i, batch] of batches.entries()) {
      if (i > 0 && (await poll())) return undefined;
      const start = performance.now();
      const pass = this.trainer.differentiating(step, first + i, counted, batch, this.#seconds, () =>
        this.#exchange.ranks.progress(),
      );
      const sum = await unlessStopped(pass, poll);
      if (sum === undefined) return undefined;
      losses.add(sum.value);
      this.trainer.gradientSum.add(i, batches.length);
      this.#seconds = (performance.now() - start) / 1000;
    }
    const loss = stepLoss(losses, { microBatches: batches.length, counted });
    const gradNorm = await this.trainer.gradNorm();
    this.#isUsable = Number.isFinite(loss) && Number.isFinite(gradNorm);
    return { loss, gradNorm };
  }

  /** See Trainer.update. A replica whose own gradient is faulty, or that has none, keeps its parameters. */
  async update(updates: number, learningRate: number, matrixLearningRate: number): Promise<void> {
    if (this.#isUsable) await this.trainer.update(updates, learningRate, matrixLearningRate);
  }

  synchronize(): Promise<void> {
    return this.#outer.step();
  }

  takeMean(): Promise<void> {
    return this.#outer.takeMean();
  }

  /** Copies the parameters of rank 0 to the others. */
  broadcastParameters(): Promise<void> {
    return broadcastRegion(this.#exchange, this.trainer.programs.model.region);
  }

  /** All replicas start from parameters, average and moments of rank 0, without outer momentum. */
  async startAlike(): Promise<void> {
    await this.#broadcastModel();
    for (const { region } of this.trainer.programs.moments) await broadcastRegion(this.#exchange, region);
    this.#outer.momentum.fill(0);
  }

  /** @param state on rank 0 */
  async restore(haveDiverged: boolean, state?: ReplicaState): Promise<void> {
    await this.#broadcastModel();
    await restoreState(this.#parts(), haveDiverged, state);
  }

  /** Collects on rank 0 what a checkpoint needs of all replicas. @param state on rank 0, to be filled */
  gather(haveDiverged: boolean, state?: ReplicaState): Promise<void> {
    return gatherState(this.#parts(), haveDiverged, state);
  }

  /** The model is also the anchor, unless the checkpoint has another. */
  async #broadcastModel(): Promise<void> {
    const { average } = this.trainer.programs;
    await this.broadcastParameters();
    if (average !== undefined) await broadcastRegion(this.#exchange, average.model.region);
    await this.#outer.resetAnchor();
  }

  #parts(): ReplicaParts {
    return { exchange: this.#exchange, programs: this.trainer.programs, outer: this.#outer };
  }
}
