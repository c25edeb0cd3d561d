/** One model that all ranks train. The methods are collective: all ranks call them, each with its own trainer. */
import type { Communicator } from '../../collective/communicator.ts';
import type { Batch } from '../../data/batches.ts';
import type { Device } from '../../engine/device.ts';
import { SIGNAL_POLL_SECONDS, startPolling, type InParts, type Poll } from '../../polling.ts';
import type { Trainer } from '../trainer.ts';
import type { Slice } from './division.ts';
import { subtreesOf } from '../ordered-sum.ts';
import { GradientExchange } from './gradient-exchange.ts';
import type { GradientDtype } from './gradient-format.ts';
import { slicesOfMoment } from './moment-slices.ts';
import {
  broadcastRegion,
  gatherSlices,
  IN_TRANSIT,
  scatterSlices,
  allGatherSlices,
  type Exchange,
} from './state-exchange.ts';
import { TransitBuffer } from './transit-buffer.ts';

/** A rank's part of a step. */
export interface SharedStep {
  /** Counted from 0. */
  readonly step: number;
  /** Micro-batches and counted targets of the whole step. */
  readonly terms: number;
  readonly counted: number;
  /** The micro-batches of this rank. */
  readonly batches: readonly Batch[];
}

/** Messages make progress between the parts of a pass, so a pass has more parts than polling for a signal would need. */
const MORE_PARTS = 5;

export class SharedTrainer {
  readonly trainer: Trainer;
  readonly #ranks: Communicator;
  readonly #device: Device;
  readonly #gradients: GradientExchange;
  readonly #state: Exchange;
  readonly #slices: readonly Slice[];
  /** Lets the event loop turn. Nothing interrupts a step, since all ranks take the same ones. */
  readonly #yield = startPolling(() => false, SIGNAL_POLL_SECONDS);
  /** Duration of the last micro-batch. */
  #seconds: number | undefined;

  constructor(ranks: Communicator, device: Device, trainer: Trainer, reduceDtype: GradientDtype) {
    this.trainer = trainer;
    this.#ranks = ranks;
    this.#device = device;
    this.#gradients = new GradientExchange(ranks, device, trainer.programs, reduceDtype);
    this.#slices = trainer.programs.buckets.flatMap(({ slices }) => slices);
    const length = trainer.programs.buckets.at(-1)!.end;
    this.#state = { ranks, device, transit: new TransitBuffer(Math.min(length, IN_TRANSIT)) };
  }

  /**
   * The gradient of a step, each element at its owner.
   *
   * @returns the sums of the losses of this rank's micro-batches, and the global gradient norm
   */
  async gradient({
    step,
    terms,
    counted,
    batches,
  }: SharedStep): Promise<{ readonly losses: number[]; readonly gradNorm: number }> {
    const { rank, size } = this.#ranks;
    const losses: number[] = [];
    const subtrees = subtreesOf(rank, terms, size);
    const first = subtrees[0].start;
    this.#gradients.begin(terms);
    for (const subtree of subtrees)
      for (let micro = subtree.start; micro < subtree.end; micro++) {
        const start = performance.now();
        const [index, count] = [micro - subtree.start, subtree.end - subtree.start];
        const isLast = index + 1 === count;
        let sent = 0;
        const sendUpTo = async (instructions: number): Promise<void> => {
          if (isLast)
            while (this.#isReady(sent, instructions)) {
              const bucket = this.#gradients.order[sent++];
              this.trainer.gradientSum.addRange(bucket, index, count);
              await this.#gradients.send(bucket, subtree);
            }
          this.#ranks.progress();
        };
        const seconds = this.#seconds && MORE_PARTS * this.#seconds;
        const batch = batches[micro - first];
        const pass = this.trainer.differentiating(step, micro, counted, batch, seconds, sendUpTo);
        losses.push(await polled(pass, this.#yield));
        if (isLast) await sendUpTo(Infinity);
        else this.trainer.gradientSum.add(index, count);
        this.#seconds = (performance.now() - start) / 1000;
      }
    const gradNorm = await this.#gradients.finish();
    this.#device.write(this.trainer.programs.norm.offset, Float32Array.of(gradNorm));
    return { losses, gradNorm };
  }

  /** Whether the bucket that is sent as number `index` is complete after a number of instructions. */
  #isReady(index: number, instructions: number): boolean {
    const { order, readyAfter } = this.#gradients;
    return index < order.length && readyAfter[order[index]] <= instructions;
  }

  /** Every rank updates its own parameters and receives the others (an all-gather). See Trainer.update. */
  async update(updates: number, learningRate: number, matrixLearningRate: number): Promise<void> {
    await this.trainer.update(updates, learningRate, matrixLearningRate);
    const { offset } = this.trainer.programs.model.region;
    await allGatherSlices(this.#state, offset, this.#slices);
  }

  /** Copies the state of rank 0 to the others: parameters and their average to all, moments to their owners. */
  async broadcastState(): Promise<void> {
    const { model, average } = this.trainer.programs;
    await broadcastRegion(this.#state, model.region);
    if (average !== undefined) await broadcastRegion(this.#state, average.model.region);
    for (const { offset, slices } of this.#moments()) await scatterSlices(this.#state, offset, slices);
  }

  /** Completes moments and average of rank 0, for a checkpoint. */
  async gatherState(): Promise<void> {
    const { average } = this.trainer.programs;
    for (const { offset, slices } of this.#moments()) await gatherSlices(this.#state, offset, slices);
    if (average !== undefined) await gatherSlices(this.#state, average.model.region.offset, this.#slices);
  }

  /** Copies the parameters of rank 0 to the others. */
  broadcastParameters(): Promise<void> {
    return broadcastRegion(this.#state, this.trainer.programs.model.region);
  }

  /** Completes the average on all ranks, to evaluate it. */
  async allGatherAverage(): Promise<void> {
    const { average } = this.trainer.programs;
    if (average !== undefined) await allGatherSlices(this.#state, average.model.region.offset, this.#slices);
  }

  #moments(): { readonly offset: number; readonly slices: readonly Slice[] }[] {
    const { model, moments } = this.trainer.programs;
    return moments.map(({ region: { offset }, parameters }) => ({
      offset,
      slices: slicesOfMoment(this.#slices, model.block.parameters, parameters),
    }));
  }
}

/** Runs a computation to its end, polling at each yield. */
async function polled<T>(parts: InParts<T>, poll: Poll): Promise<T> {
  for (;;) {
    const { done, value } = await parts.next();
    if (done === true) return value;
    await poll();
  }
}
