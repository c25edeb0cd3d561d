/**
 * Prefetching. The rows of a head are short pieces, far from each other, which no hardware prefetcher recognises: whoever works
 * with them waits for memory at each. A read in order beforehand, with nothing else to do, keeps many cache lines in flight.
 */

/** Bytes that are fetched at a time: half of Zen 3's L2. */
const NEAR = 1 << 18;

/**
 * How many groups of heads are fetched together, where each has `matrices` of T × D numbers; 0: not even one fits.
 * @inline
 */
export function groupsNear(T: i32, D: i32, matrices: i32): i32 {
  return i32(NEAR / ((u64(T) * D * matrices) << 2));
}

/** Loads from each cache line of some rows, `ld` bytes apart: V8 keeps a load whose result is unused, as it might trap. */
export function fetchRows(p: usize, ld: usize, rows: i32, bytes: usize): void {
  for (let r = 0; r < rows; r++) {
    for (let i: usize = 0; i < bytes; i += 64) load<i32>(p + i);
    p += ld;
  }
}
