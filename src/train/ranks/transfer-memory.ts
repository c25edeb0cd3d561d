import type { Ranks } from '../programs.ts';
import { subtreesOf } from '../ordered-sum.ts';
import type { Bucket } from './division.ts';
import { IN_TRANSIT } from './state-exchange.ts';

/** Bytes of the buffers in which a rank keeps what it sends and receives in steps of `terms` micro-batches. */
export function transferBytes(buckets: readonly Bucket[], { rank, size }: Ranks, terms: number): number {
  let sent = 0;
  let owned = 0;
  for (const { start, end, slices } of buckets) {
    sent += end - start;
    for (const slice of slices) if (slice.owner === rank) owned += slice.end - slice.start;
  }
  let sums = 0;
  for (let each = 0; each < size; each++) sums += subtreesOf(each, terms, size).length;
  return 4 * (sent + sums * owned + IN_TRANSIT);
}
