/** Cross-entropy fused with softmax, and ranks of targets. Threads split the rows. */
import { exp4, f32Log } from './exp-log';
import {
  CrossEntropyArguments,
  CrossEntropyBackwardArguments,
  TargetRankArguments,
} from './generated/arguments';
import { rowAdd, rowExp, rowMax, rowSum } from './rows';
import { sliceEnd, sliceStart } from './threads';
import { loadPart, putPart } from './vector';

export function crossEntropy(args: CrossEntropyArguments): void {
  const V = args.V;
  const smoothing = args.smoothing;
  const end = sliceEnd(args.N, 1);
  for (let n = sliceStart(args.N, 1); n < end; n++) {
    const row = args.logits + ((usize(n) * V) << 2);
    const largest = rowMax(row, V);
    const logSum = f32Log(rowExp(row, 0, V, largest, 1));
    const target = load<i32>(args.targets + (usize(n) << 2));
    let loss: f32 = 0;
    if (target >= 0) {
      const logit = load<f32>(row + (usize(target) << 2));
      loss = largest - logit + logSum;
      if (smoothing > 0) loss += smoothing * (logit - rowSum(row, V) / f32(V));
    }
    store<f32>(args.losses + (usize(n) << 2), loss);
    store<f32>(args.lse + (usize(n) << 2), largest + logSum);
  }
}

export function crossEntropyBackward(args: CrossEntropyBackwardArguments): void {
  const V = args.V;
  const accumulate = args.accumulateDLogits;
  const smoothing = args.smoothing;
  const end = sliceEnd(args.N, 1);
  for (let n = sliceStart(args.N, 1); n < end; n++) {
    const logits = args.logits + ((usize(n) * V) << 2);
    const dLogits = args.dLogits + ((usize(n) * V) << 2);
    const target = load<i32>(args.targets + (usize(n) << 2));
    const d: f32 = target < 0 ? 0 : load<f32>(args.dLosses + (usize(n) << 2));
    const scale = f32x4.splat(d);
    const shift = f32x4.splat(load<f32>(args.lse + (usize(n) << 2)));
    const pairsEnd = accumulate ? 0 : V;
    let v = 0;
    for (; v + 8 <= pairsEnd; v += 8) {
      const p = usize(v) << 2;
      const low = f32x4.mul(exp4(f32x4.sub(v128.load(logits + p), shift)), scale);
      const high = f32x4.mul(exp4(f32x4.sub(v128.load(logits + p, 16), shift)), scale);
      v128.store(dLogits + p, high, 16);
      v128.store(dLogits + p, low);
    }
    for (; v < V; v += 4) {
      const p = usize(v) << 2;
      const probability = exp4(f32x4.sub(loadPart(logits + p, V - v), shift));
      putPart(dLogits + p, f32x4.mul(probability, scale), V - v, accumulate);
    }
    if (smoothing > 0) rowAdd(dLogits, V, (-d * smoothing) / f32(V));
    if (target >= 0) {
      const p = dLogits + (usize(target) << 2);
      store<f32>(p, load<f32>(p) - d * (1 - smoothing));
    }
  }
}

export function targetRank(args: TargetRankArguments): void {
  const V = args.V;
  const end = sliceEnd(args.N, 1);
  for (let n = sliceStart(args.N, 1); n < end; n++) {
    const row = args.logits + ((usize(n) * V) << 2);
    const target = load<i32>(args.targets + (usize(n) << 2));
    let rank = -1;
    if (target >= 0) {
      const logit = load<f32>(row + (usize(target) << 2));
      rank = countAbove(row, 0, target, logit, true) + countAbove(row, target + 1, V, logit, false);
    }
    store<f32>(args.ranks + (usize(n) << 2), f32(rank));
  }
}

/**
 * How many of row[from … to − 1] are greater than x, or at least x with `orEqual`. A comparison sets a lane to −1 where it
 * holds, so subtracting it counts.
 */
function countAbove(row: usize, from: i32, to: i32, x: f32, orEqual: bool): i32 {
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
