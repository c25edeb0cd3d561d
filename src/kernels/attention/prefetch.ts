/**
 * Software prefetching. The rows of a head are short and far apart, a pattern that hardware prefetchers miss, so a kernel
 * would stall on each row. Reading the rows in order beforehand keeps many cache lines in flight.
 */
import { CACHE_LINE } from '../generated/constants';

/** Bytes that are prefetched at a time: half of Zen 3's L2. */
const PREFETCHED = 1 << 18;

/** Number of groups of heads to prefetch together, each with `matrices` of T × D numbers; 0: not even one fits. @inline */
export function prefetchedGroups(T: i32, D: i32, matrices: i32): i32 {
  return i32(PREFETCHED / ((u64(T) * D * matrices) << 2));
}

/** Loads each cache line of rows `ld` bytes apart. V8 keeps loads with unused results because they might trap. */
export function prefetchRows(p: usize, ld: usize, rows: i32, bytes: usize): void {
  for (let r = 0; r < rows; r++) {
    for (let i: usize = 0; i < bytes; i += CACHE_LINE) load<i32>(p + i);
    p += ld;
  }
}
