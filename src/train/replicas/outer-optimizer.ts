/**
 * The outer optimizer of replicas, whose state is divided among the ranks: each has momentum and anchor of a slice of the
 * trained parameters. Every method is called on all ranks.
 */
import type { TrainingPrograms } from '../programs.ts';
import type { Slice } from '../ranks/division.ts';
import { bytesOf, TAG } from '../ranks/messages.ts';
import { allGatherSlices, type Exchange } from '../ranks/state-exchange.ts';
import { meanOf, outerStep, type OuterOptions } from './outer-step.ts';
import { equalSlices, interleavedChunks } from './slices.ts';

/**
 * Computes a part of this rank's slice.
 *
 * @param at its start, within the slice
 * @param replicas the numbers of each replica, which may be overwritten
 */
type Combine = (at: number, replicas: readonly Float32Array[]) => Float32Array;

export class OuterOptimizer {
  /** Of all ranks. */
  readonly slices: readonly Slice[];
  /** State of this rank's slice. */
  readonly momentum: Float32Array;
  readonly anchor: Float32Array;
  readonly #own: Slice;
  readonly #exchange: Exchange;
  readonly #programs: TrainingPrograms;
  readonly #options: OuterOptions;

  constructor(exchange: Exchange, programs: TrainingPrograms, options: OuterOptions) {
    const { rank, size } = exchange.ranks;
    this.slices = equalSlices(programs.model.block.trained, size);
    this.#own = this.slices[rank];
    this.momentum = new Float32Array(this.#own.end - this.#own.start);
    this.anchor = new Float32Array(this.momentum.length);
    this.#exchange = exchange;
    this.#programs = programs;
    this.#options = options;
  }

  /** Sets the anchor to the parameters, which all replicas have. */
  async resetAnchor(): Promise<void> {
    const { device } = this.#exchange;
    await device.read(this.#programs.model.region.offset + this.#own.start, this.anchor);
  }

  /** The outer step: afterwards, all replicas have the same parameters and, if one is kept, the same average of them. */
  async step(): Promise<void> {
    const { model, average } = this.#programs;
    await this.#replace(model.region.offset, (at, replicas) => {
      const end = at + replicas[0].length;
      const anchor = this.anchor.subarray(at, end);
      outerStep(this.#options, anchor, this.momentum.subarray(at, end), replicas);
      return anchor;
    });
    if (average !== undefined) await this.#takeMean(average.model.region.offset);
  }

  /** All replicas get the mean of their parameters, and of their averages, which is the average of that mean. */
  async takeMean(): Promise<void> {
    const { model, average } = this.#programs;
    await this.#takeMean(model.region.offset);
    if (average !== undefined) await this.#takeMean(average.model.region.offset);
  }

  #takeMean(offset: number): Promise<void> {
    return this.#replace(offset, (_at, replicas) => meanOf(replicas, replicas[0]));
  }

  /** Replaces a block with the layout of the trained parameters on all ranks. @param offset in the device's memory */
  async #replace(offset: number, combine: Combine): Promise<void> {
    const { ranks, device, transit } = this.#exchange;
    for (const chunk of interleavedChunks(this.slices))
      if (chunk.owner === ranks.rank) await this.#combineChunk(offset, chunk, combine);
      else
        await transit.place(chunk.end - chunk.start, async (numbers) => {
          await device.read(offset + chunk.start, numbers);
          return { arrival: ranks.send(chunk.owner, TAG.gradients, bytesOf(numbers)) };
        });
    await transit.empty();
    await allGatherSlices(this.#exchange, offset, this.slices);
  }

  #combineChunk(offset: number, { start, end }: Slice, combine: Combine): Promise<void> {
    const { ranks, device, transit } = this.#exchange;
    const length = end - start;
    return transit.place(ranks.size * length, async (numbers) => {
      const replicas = Array.from({ length: ranks.size }, (_, rank) =>
        numbers.subarray(rank * length, (rank + 1) * length),
      );
      const received = replicas.map((into, rank) =>
        rank === ranks.rank
          ? device.read(offset + start, into)
          : ranks.receive(rank, TAG.gradients, bytesOf(into)),
      );
      const arrival = Promise.all(received).then(() =>
        device.write(offset + start, combine(start - this.#own.start, replicas)),
      );
      return Promise.resolve({ arrival });
    });
  }
}
