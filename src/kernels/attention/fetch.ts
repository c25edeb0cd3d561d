/**
 * Reading ahead. A head's rows are short pieces, far from each other, which no prefetcher of the hardware recognises; whoever
 * works with them at once waits for memory at each. Read before, in order and with nothing to do in between, many are on their way
 * at a time: for heads of 64 × 32 numbers, attention became a third faster in both directions.
 */

/** Bytes that are fetched at a time: half of Zen 3's second-level cache. */
const NEAR = 1 << 18;

/** Heads of `matrices` × T × D numbers that are fetched together; 0: not even one. */
// @ts-ignore: decorator
@inline
export function headsNear(T: i32, D: i32, matrices: i32): i32 {
  return i32(NEAR / ((u64(T) * D * matrices) << 2));
}

/** Fetches the queries, keys and values of some heads in a row, of H, for T positions, where the first head's query is `at`. */
export function fetchHeads(at: usize, T: i32, H: i32, D: i32, heads: i32): void {
  const bytes = usize(heads * D) << 2;
  const C = usize(H * D) << 2;
  if (heads == H) fetchRows(at, C * 3, T, C * 3);
  else for (let part = 0; part < 3; part++) fetchRows(at + C * part, C * 3, T, bytes);
}

/** Reads from each cache line: V8 keeps a load whose result nobody needs, as it might trap. */
export function fetchRows(p: usize, ld: usize, rows: i32, bytes: usize): void {
  for (let r = 0; r < rows; r++) {
    for (let i: usize = 0; i < bytes; i += 64) load<i32>(p + i);
    p += ld;
  }
}
