/**
 * Looking up rows of a table, and collecting their gradients.
 *
 * Forward splits the rows over threads. Backward splits the channels: two rows n may add to the same table row, and each
 * sum has to run in the order of n, in one thread.
 */
import { scratch } from './scratch';
import { share } from './threads';
import { loadPart, putPart, storePart } from './vector';

export function embedding(thread: i32, threads: i32, ids: usize, table: usize, out: usize, N: i32, C: i32): void {
  const end = share(N, 1, thread + 1, threads);
  const bytes = usize(C) << 2;
  for (let n = share(N, 1, thread, threads); n < end; n++)
    memory.copy(out + usize(n) * bytes, table + usize(load<i32>(ids + (usize(n) << 2))) * bytes, bytes);
}

export function embeddingBackward(
  thread: i32,
  threads: i32,
  ids: usize,
  dOut: usize,
  dTable: usize,
  accumulate: i32,
  N: i32,
  C: i32,
  V: i32,
): void {
  const from = share(C, 16, thread, threads);
  const end = share(C, 16, thread + 1, threads);
  if (from == end) return;
  if (!accumulate) {
    const bytes = usize(end - from) << 2;
    for (let v = 0; v < V; v++) memory.fill(dTable + ((usize(v) * C + from) << 2), 0, bytes);
  }
  for (let n = 0; n < N; n++) {
    const source = dOut + ((usize(n) * C) << 2);
    const target = dTable + ((usize(load<i32>(ids + (usize(n) << 2))) * C) << 2);
    for (let c = from; c < end; c += 4) {
      const at = usize(c) << 2;
      storePart(target + at, f32x4.add(loadPart(target + at, end - c), loadPart(source + at, end - c)), end - c);
    }
  }
}

/**
 * The derivative of a bias: column sums. Threads split the columns; each sum runs down the rows in order. Rows are read from end
 * to end, four at a time, and the sums kept in the first-level cache: a few columns at a time, from row to row, would take
 * more than twice as long, most of it for looking up addresses.
 */
export function columnSum(
  thread: i32,
  threads: i32,
  x: usize,
  sums: usize,
  accumulate: i32,
  N: i32,
  C: i32,
): void {
  const from = share(C, 16, thread, threads);
  const width = share(C, 16, thread + 1, threads) - from;
  const stride = usize(C) << 2;
  const totals = scratch(thread);
  memory.fill(totals, 0, usize(width + 3) << 2);
  let row = x + (usize(from) << 2);
  let n = 0;
  for (; n + 4 <= N; n += 4) {
    let c = 0;
    for (; c + 8 <= width; c += 8) {
      const at = totals + (c << 2);
      const p = row + (c << 2);
      const p1 = p + stride;
      const p2 = p1 + stride;
      const p3 = p2 + stride;
      let low = f32x4.add(v128.load(at), v128.load(p));
      let high = f32x4.add(v128.load(at, 16), v128.load(p, 16));
      low = f32x4.add(low, v128.load(p1));
      high = f32x4.add(high, v128.load(p1, 16));
      low = f32x4.add(low, v128.load(p2));
      high = f32x4.add(high, v128.load(p2, 16));
      low = f32x4.add(low, v128.load(p3));
      high = f32x4.add(high, v128.load(p3, 16));
      v128.store(at, low);
      v128.store(at, high, 16);
    }
    for (let r: usize = 0; r < 4; r++) addRow(totals, row + stride * r, c, width);
    row += stride * 4;
  }
  for (; n < N; n++) {
    addRow(totals, row, 0, width);
    row += stride;
  }
  for (let c = 0; c < width; c += 4)
    putPart(sums + (usize(from + c) << 2), v128.load(totals + (c << 2)), width - c, accumulate);
}

/** totals[c] += row[c] for c in [from, width); writes up to three lanes more. */
// @ts-ignore: decorator
@inline
function addRow(totals: usize, row: usize, from: i32, width: i32): void {
  for (let c = from; c < width; c += 4) {
    const at = totals + (c << 2);
    v128.store(at, f32x4.add(v128.load(at), loadPart(row + (c << 2), width - c)));
  }
}
