/**
 * Looking up rows of a table, and collecting their gradients.
 *
 * Forward splits the rows over threads. Backward splits the channels: two rows n may add to the same table row, and each
 * sum has to run in the order of n, in one thread.
 */
import { share } from './threads';
import { loadPart, storePart } from './vector';

export function embedding(
  thread: i32,
  threads: i32,
  ids: usize,
  table: usize,
  out: usize,
  N: i32,
  C: i32,
): void {
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
      storePart(
        target + at,
        f32x4.add(loadPart(target + at, end - c), loadPart(source + at, end - c)),
        end - c,
      );
    }
  }
}
