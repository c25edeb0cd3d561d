/** Cross-entropy fused with softmax, and ranks of targets. Threads split the rows. */
import { exp4, f32Log, loadPart, putPart } from './vector';
import { rowExp, rowMax } from './normalisation';
import { share } from './threads';

export function crossEntropy(
  thread: i32,
  threads: i32,
  logits: usize,
  targets: usize,
  losses: usize,
  lse: usize,
  N: i32,
  V: i32,
): void {
  const end = share(N, 1, thread + 1, threads);
  for (let n = share(N, 1, thread, threads); n < end; n++) {
    const row = logits + ((usize(n) * V) << 2);
    const largest = rowMax(row, V);
    const logSum = f32Log(rowExp(row, 0, V, largest, 1));
    const target = load<i32>(targets + (usize(n) << 2));
    let loss: f32 = 0;
    if (target >= 0) loss = largest - load<f32>(row + (usize(target) << 2)) + logSum;
    store<f32>(losses + (usize(n) << 2), loss);
    store<f32>(lse + (usize(n) << 2), largest + logSum);
  }
}

export function crossEntropyBackward(
  thread: i32,
  threads: i32,
  logits: usize,
  targets: usize,
  lse: usize,
  dLosses: usize,
  dLogits: usize,
  accumulate: i32,
  N: i32,
  V: i32,
): void {
  const end = share(N, 1, thread + 1, threads);
  for (let n = share(N, 1, thread, threads); n < end; n++) {
    const at = (usize(n) * V) << 2;
    const target = load<i32>(targets + (usize(n) << 2));
    const d: f32 = target < 0 ? 0 : load<f32>(dLosses + (usize(n) << 2));
    const scale = f32x4.splat(d);
    const shift = f32x4.splat(load<f32>(lse + (usize(n) << 2)));
    const pairsEnd = accumulate ? 0 : V;
    let v = 0;
    for (; v + 8 <= pairsEnd; v += 8) {
      const p = at + (usize(v) << 2);
      const low = f32x4.mul(exp4(f32x4.sub(v128.load(logits + p), shift)), scale);
      const high = f32x4.mul(exp4(f32x4.sub(v128.load(logits + p, 16), shift)), scale);
      v128.store(dLogits + p, high, 16);
      v128.store(dLogits + p, low);
    }
    for (; v < V; v += 4) {
      const p = at + (usize(v) << 2);
      const probability = exp4(f32x4.sub(loadPart(logits + p, V - v), shift));
      putPart(dLogits + p, f32x4.mul(probability, scale), V - v, accumulate);
    }
    if (target >= 0) {
      const p = dLogits + at + (usize(target) << 2);
      store<f32>(p, load<f32>(p) - d);
    }
  }
}

/** Threads split the rows. A comparison of four lanes gives −1 for each that holds: subtracting counts them. */
export function targetRank(
  thread: i32,
  threads: i32,
  logits: usize,
  targets: usize,
  ranks: usize,
  N: i32,
  V: i32,
): void {
  const end = share(N, 1, thread + 1, threads);
  for (let n = share(N, 1, thread, threads); n < end; n++) {
    const row = logits + ((usize(n) * V) << 2);
    const target = load<i32>(targets + (usize(n) << 2));
    let rank = -1;
    if (target >= 0) {
      const logit = load<f32>(row + (usize(target) << 2));
      rank = countAbove(row, 0, target, logit, 1) + countAbove(row, target + 1, V, logit, 0);
    }
    store<f32>(ranks + (usize(n) << 2), f32(rank));
  }
}

/** How many of row[from … to − 1] are above x, or equal to it where `orEqual`. */
function countAbove(row: usize, from: i32, to: i32, x: f32, orEqual: i32): i32 {
  const limit = f32x4.splat(x);
  let counts = i32x4.splat(0);
  let v = from;
  if (orEqual)
    for (; v + 4 <= to; v += 4) counts = i32x4.sub(counts, f32x4.ge(v128.load(row + (usize(v) << 2)), limit));
  else
    for (; v + 4 <= to; v += 4) counts = i32x4.sub(counts, f32x4.gt(v128.load(row + (usize(v) << 2)), limit));
  let count =
    i32x4.extract_lane(counts, 0) +
    i32x4.extract_lane(counts, 1) +
    i32x4.extract_lane(counts, 2) +
    i32x4.extract_lane(counts, 3);
  for (; v < to; v++) {
    const other = load<f32>(row + (usize(v) << 2));
    if (other > x || (orEqual && other == x)) count++;
  }
  return count;
}
