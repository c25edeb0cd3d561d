import type { Slice } from '../ranks/division.ts';
import { IN_TRANSIT } from '../ranks/state-exchange.ts';

/** Equal parts of a block, one for each rank. */
export const equalSlices = (length: number, ranks: number): Slice[] =>
  Array.from({ length: ranks }, (_, owner) => ({
    owner,
    start: Math.floor((length * owner) / ranks),
    end: Math.floor((length * (owner + 1)) / ranks),
  }));

/** Elements of a slice that its owner receives from all ranks at a time: half of what may be in transit. */
const chunkOf = (ranks: number): number => Math.floor(IN_TRANSIT / 2 / ranks);

/** The slices in chunks, those of all owners in turn, so that all receive at the same time. */
export function interleavedChunks(slices: readonly Slice[]): Slice[] {
  const length = chunkOf(slices.length);
  const chunks: Slice[] = [];
  const longest = Math.max(...slices.map(({ start, end }) => end - start));
  for (let at = 0; at < longest; at += length)
    for (const { owner, start, end } of slices)
      if (start + at < end)
        chunks.push({ owner, start: start + at, end: Math.min(end, start + at + length) });
  return chunks;
}
