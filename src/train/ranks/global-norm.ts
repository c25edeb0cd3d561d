/**
 * The global gradient norm, from gradients that are divided among ranks. Each sums the squares of its own blocks of NORM_BLOCK
 * elements, and all ranks add the sums in the order of the blocks, as the kernel globalNorm does, to the same bits.
 */
import type { Communicator } from '../../collective/communicator.ts';
import { NORM_BLOCK } from '../../engine/signatures.ts';
import { sumOfSquares } from '../../engine/sum-of-squares.ts';
import type { Slice } from './division.ts';
import { bytesOf, TAG } from './messages.ts';

/** A slice of this rank with its gradients. */
interface OwnedGradients extends Slice {
  readonly gradients: Float32Array;
}

/** @param slices of all ranks */
export async function globalNorm(
  ranks: Communicator,
  slices: readonly Slice[],
  owned: readonly OwnedGradients[],
): Promise<number> {
  const blocks = slices.reduce((last, { end }) => Math.max(last, Math.ceil(end / NORM_BLOCK)), 0);
  const sums = new Float64Array(blocks);
  for (const { start, gradients } of owned)
    for (let at = 0; at < gradients.length; at += NORM_BLOCK)
      sums[(start + at) / NORM_BLOCK] = sumOfSquares(gradients.subarray(at, at + NORM_BLOCK));
  await allGatherSums(ranks, slices, sums);
  let total = 0;
  for (const sum of sums) total += sum;
  return Math.fround(Math.sqrt(total));
}

/** Completes the sums of all blocks on every rank. */
async function allGatherSums(
  ranks: Communicator,
  slices: readonly Slice[],
  sums: Float64Array,
): Promise<void> {
  const sumsOf = (owner: number): Float64Array[] =>
    slices
      .filter((slice) => slice.owner === owner)
      .map(({ start, end }) => sums.subarray(start / NORM_BLOCK, Math.ceil(end / NORM_BLOCK)));
  const own = Float64Array.from(sumsOf(ranks.rank).flatMap((part) => [...part]));
  const transfers: Promise<void>[] = [];
  for (let rank = 0; rank < ranks.size; rank++) {
    if (rank === ranks.rank) continue;
    const parts = sumsOf(rank);
    const received = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
    transfers.push(
      ranks.send(rank, TAG.norm, bytesOf(own)),
      ranks.receive(rank, TAG.norm, bytesOf(received)).then(() => {
        let at = 0;
        for (const part of parts) part.set(received.subarray(at, (at += part.length)));
      }),
    );
  }
  await Promise.all(transfers);
}
