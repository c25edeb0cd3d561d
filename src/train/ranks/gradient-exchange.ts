/**
 * The sum of the ranks' gradients, each element at its owner (a reduce-scatter). Ranks send sums of whole subtrees of the tree
 * over all micro-batches (ordered-sum.ts), and the owner adds them in the order of the tree, so that the result has the bits
 * of a single process (with gradients sent in float32).
 */
import type { Communicator } from '../../collective/communicator.ts';
import { handled } from '../../collective/handled.ts';
import type { Device } from '../../engine/device.ts';
import { writtenBy } from '../../engine/written-by.ts';
import { combineSubtrees, subtreesOf, type Subtree } from '../ordered-sum.ts';
import type { TrainingPrograms } from '../programs.ts';
import type { Bucket, Slice } from './division.ts';
import { globalNorm } from './global-norm.ts';
import { gradientFormats, type GradientDtype, type GradientFormat } from './gradient-format.ts';
import { TAG } from './messages.ts';

/** A slice of this rank, with its offset in the concatenation of the rank's slices. */
interface OwnedSlice extends Slice {
  readonly at: number;
}

/** The sum of a subtree over the slices of this rank. */
interface OwnedSum {
  readonly end: number;
  readonly numbers: Float32Array;
}

export class GradientExchange {
  /** Indices of the buckets in the order in which the backward pass completes them. */
  readonly order: readonly number[];
  /** By bucket, the number of instructions after which its gradients are complete. */
  readonly readyAfter: readonly number[];
  readonly #ranks: Communicator;
  readonly #format: GradientFormat;
  readonly #device: Device;
  readonly #gradients: number;
  readonly #buckets: readonly Bucket[];
  readonly #owned: readonly (readonly OwnedSlice[])[];
  readonly #ownedLength: number;
  /** By bucket: gradients in transit to other ranks. */
  readonly #staging: readonly Float32Array[];
  readonly #sent: Promise<unknown>[];
  readonly #pool: Float32Array[] = [];
  /** By the start of the subtree. */
  #sums = new Map<number, OwnedSum>();
  #received: Promise<unknown> = Promise.resolve();
  #terms = 0;

  constructor(
    ranks: Communicator,
    device: Device,
    { gradients, buckets, forwardBackward }: TrainingPrograms,
    dtype: GradientDtype,
  ) {
    this.#ranks = ranks;
    this.#format = gradientFormats[dtype];
    this.#device = device;
    this.#gradients = gradients.offset;
    this.#buckets = buckets;
    let length = 0;
    this.#owned = buckets.map(({ slices }) =>
      slices
        .filter(({ owner }) => owner === ranks.rank)
        .map((slice) => {
          const at = length;
          length += slice.end - slice.start;
          return { ...slice, at };
        }),
    );
    this.#ownedLength = length;
    this.#staging = buckets.map(({ start, end }) => new Float32Array(end - start));
    this.#sent = buckets.map(() => Promise.resolve());
    const writes = forwardBackward.instructions.map(writtenBy);
    this.readyAfter = buckets.map(({ start, end }) => {
      const [from, to] = [gradients.offset + start, gradients.offset + end];
      return 1 + writes.findLastIndex((all) => all.some((b) => b.offset < to && b.offset + b.length > from));
    });
    this.order = buckets.map((_, i) => i).sort((a, b) => this.readyAfter[a] - this.readyAfter[b] || b - a);
  }

  /** Begins a step: awaits the other ranks' sums. */
  begin(terms: number): void {
    this.#terms = terms;
    this.#sums = new Map();
    const { rank: self, size } = this.#ranks;
    const received: Promise<void>[] = [];
    for (let rank = 0; rank < size; rank++)
      for (const subtree of subtreesOf(rank, terms, size)) {
        const numbers = (this.#pool[this.#sums.size] ??= new Float32Array(this.#ownedLength));
        this.#sums.set(subtree.start, { end: subtree.end, numbers });
        if (rank === self) continue;
        for (const bucket of this.order)
          for (const { at, start, end } of this.#owned[bucket]) {
            const into = numbers.subarray(at, at + end - start);
            const arrived = this.#ranks.receive(rank, TAG.gradients, this.#format.packedIn(into));
            received.push(arrived.then(() => this.#format.unpack(into)));
          }
      }
    this.#received = handled(Promise.all(received));
  }

  /** Sends the sum of a subtree of this rank, which is in the device's gradients. Called once per bucket, in `order`. */
  async send(bucket: number, subtree: Subtree): Promise<void> {
    await this.#sent[bucket];
    const { start: first, slices } = this.#buckets[bucket];
    const staged = await this.#device.read(this.#gradients + first, this.#staging[bucket]);
    for (const { at, start, end } of this.#owned[bucket])
      this.#sums.get(subtree.start)!.numbers.set(staged.subarray(start - first, end - first), at);
    const sent = slices
      .filter(({ owner }) => owner !== this.#ranks.rank)
      .map(({ owner, start, end }) =>
        this.#ranks.send(
          owner,
          TAG.gradients,
          this.#format.pack(staged.subarray(start - first, end - first)),
        ),
      );
    this.#sent[bucket] = handled(Promise.all(sent));
  }

  /** Ends a step: writes the total to this rank's slices of the device's gradients. @returns the global norm */
  async finish(): Promise<number> {
    await this.#received;
    await Promise.all(this.#sent);
    const total = combineSubtrees(
      this.#terms,
      ({ start, end }) => {
        const sum = this.#sums.get(start);
        return sum?.end === end ? sum.numbers : undefined;
      },
      addTo,
    );
    const owned = this.#owned.flat().map(({ at, ...slice }) => ({
      ...slice,
      gradients: total.subarray(at, at + slice.end - slice.start),
    }));
    for (const { start, gradients } of owned) this.#device.write(this.#gradients + start, gradients);
    return globalNorm(
      this.#ranks,
      this.#buckets.flatMap(({ slices }) => slices),
      owned,
    );
  }
}

/** left += right, in float32. */
function addTo(left: Float32Array, right: Float32Array): Float32Array {
  for (let i = 0; i < left.length; i++) left[i] += right[i];
  return left;
}
