/** Softmax and LayerNorm, over rows, which the threads split. */
import {
  exp4,
  keepLanes,
  loadPart,
  madd,
  maxLanes,
  putPart,
  squareRoot,
  storePart,
  sumLanes,
} from './vector';
import { scratch } from './scratch';
import { share } from './threads';

/** The largest element of a row. */
export function rowMax(x: usize, C: i32): f32 {
  const low = f32x4.splat(-f32.MAX_VALUE);
  let largest = low;
  let c = 0;
  for (; c + 4 <= C; c += 4) largest = f32x4.max(largest, v128.load(x + (c << 2)));
  if (c < C) largest = f32x4.max(largest, keepLanes(loadPart(x + (c << 2), C - c), C - c, low));
  return maxLanes(largest);
}

/** Σ exp((x − shift)·factor) over a row; where `y` is not 0, the terms are left there. y may be x. */
export function rowExp(x: usize, y: usize, C: i32, shift: f32, factor: f32): f32 {
  const by = f32x4.splat(shift);
  const scale = f32x4.splat(factor);
  const zero = f32x4.splat(0);
  let even = zero;
  let odd = zero;
  let c = 0;
  for (; c + 8 <= C; c += 8) {
    const at = c << 2;
    const low = exp4(f32x4.mul(f32x4.sub(v128.load(x + at), by), scale));
    const high = exp4(f32x4.mul(f32x4.sub(v128.load(x + at, 16), by), scale));
    if (y) {
      v128.store(y + at, high, 16);
      v128.store(y + at, low);
    }
    even = f32x4.add(even, low);
    odd = f32x4.add(odd, high);
  }
  for (; c < C; c += 4) {
    const at = c << 2;
    const e = keepLanes(exp4(f32x4.mul(f32x4.sub(loadPart(x + at, C - c), by), scale)), C - c, zero);
    if (y) storePart(y + at, e, C - c);
    even = f32x4.add(even, e);
  }
  return sumLanes(f32x4.add(even, odd));
}

/** y = factor·x over a row. */
export function rowScale(x: usize, y: usize, C: i32, factor: f32): void {
  const f = f32x4.splat(factor);
  for (let c = 0; c < C; c += 4) storePart(y + (c << 2), f32x4.mul(loadPart(x + (c << 2), C - c), f), C - c);
}

/** Σ x·y over a row. */
export function rowDot(x: usize, y: usize, C: i32): f32 {
  let even = f32x4.splat(0);
  let odd = f32x4.splat(0);
  let c = 0;
  for (; c + 8 <= C; c += 8) {
    const at = c << 2;
    even = madd(v128.load(x + at), v128.load(y + at), even);
    odd = madd(v128.load(x + at, 16), v128.load(y + at, 16), odd);
  }
  for (; c < C; c += 4) even = madd(loadPart(x + (c << 2), C - c), loadPart(y + (c << 2), C - c), even);
  return sumLanes(f32x4.add(even, odd));
}

export function softmax(thread: i32, threads: i32, x: usize, y: usize, N: i32, C: i32): void {
  const end = share(N, 1, thread + 1, threads);
  for (let n = share(N, 1, thread, threads); n < end; n++) {
    const at = (usize(n) * C) << 2;
    const sum = rowExp(x + at, y + at, C, rowMax(x + at, C), 1);
    rowScale(y + at, y + at, C, 1 / sum);
  }
}

export function softmaxBackward(
  thread: i32,
  threads: i32,
  y: usize,
  dY: usize,
  dX: usize,
  accumulate: i32,
  N: i32,
  C: i32,
): void {
  const end = share(N, 1, thread + 1, threads);
  for (let n = share(N, 1, thread, threads); n < end; n++) {
    const at = (usize(n) * C) << 2;
    const dot = f32x4.splat(rowDot(y + at, dY + at, C));
    for (let c = 0; c < C; c += 4) {
      const p = at + (c << 2);
      const d = f32x4.mul(loadPart(y + p, C - c), f32x4.sub(loadPart(dY + p, C - c), dot));
      putPart(dX + p, d, C - c, accumulate);
    }
  }
}

export function layerNorm(
  thread: i32,
  threads: i32,
  x: usize,
  weight: usize,
  bias: usize,
  y: usize,
  mean: usize,
  rstd: usize,
  N: i32,
  C: i32,
  epsilon: f32,
): void {
  const end = share(N, 16, thread + 1, threads); // whole cache lines of mean and rstd
  const zero = f32x4.splat(0);
  for (let n = share(N, 16, thread, threads); n < end; n++) {
    const row = x + ((usize(n) * C) << 2);
    let even = zero;
    let odd = zero;
    let c = 0;
    for (; c + 8 <= C; c += 8) {
      even = f32x4.add(even, v128.load(row + (c << 2)));
      odd = f32x4.add(odd, v128.load(row + (c << 2), 16));
    }
    for (; c < C; c += 4) even = f32x4.add(even, loadPart(row + (c << 2), C - c));
    const mu = sumLanes(f32x4.add(even, odd)) / f32(C);
    const shift = f32x4.splat(mu);

    // The variance from differences to the mean: from squares alone it would cancel.
    even = zero;
    odd = zero;
    for (c = 0; c + 8 <= C; c += 8) {
      const low = f32x4.sub(v128.load(row + (c << 2)), shift);
      const high = f32x4.sub(v128.load(row + (c << 2), 16), shift);
      even = madd(low, low, even);
      odd = madd(high, high, odd);
    }
    for (; c < C; c += 4) {
      const d = keepLanes(f32x4.sub(loadPart(row + (c << 2), C - c), shift), C - c, zero);
      even = madd(d, d, even);
    }
    const r: f32 = 1 / squareRoot(sumLanes(f32x4.add(even, odd)) / f32(C) + epsilon);
    const by = f32x4.splat(r);

    const out = y + ((usize(n) * C) << 2);
    for (c = 0; c + 8 <= C; c += 8) {
      const at = c << 2;
      const low = f32x4.mul(f32x4.sub(v128.load(row + at), shift), by);
      const high = f32x4.mul(f32x4.sub(v128.load(row + at, 16), shift), by);
      v128.store(out + at, madd(high, v128.load(weight + at, 16), v128.load(bias + at, 16)), 16);
      v128.store(out + at, madd(low, v128.load(weight + at), v128.load(bias + at)));
    }
    for (; c < C; c += 4) {
      const at = c << 2;
      const normalised = f32x4.mul(f32x4.sub(loadPart(row + at, C - c), shift), by);
      storePart(out + at, madd(normalised, loadPart(weight + at, C - c), loadPart(bias + at, C - c)), C - c);
    }
    store<f32>(mean + (usize(n) << 2), mu);
    store<f32>(rstd + (usize(n) << 2), r);
  }
}

/**
 * dX = rstd·(dX̂ − mean(dX̂) − x̂·mean(dX̂·x̂)) with dX̂ = dY·weight; dWeight = Σ_n dY·x̂, dBias = Σ_n dY.
 *
 * Threads split the rows for dX, the channels for the parameters, whose sums run down the rows in order. Both are done for some
 * rows, then for the next, so that the second finds them in a cache.
 */
export function layerNormBackward(
  thread: i32,
  threads: i32,
  x: usize,
  weight: usize,
  mean: usize,
  rstd: usize,
  dY: usize,
  dX: usize,
  accumulate: i32,
  dWeight: usize,
  accumulateWeight: i32,
  dBias: usize,
  accumulateBias: i32,
  N: i32,
  C: i32,
): void {
  const rows = max(16, BLOCK / (C << 3));
  const channel = share(C, 16, thread, threads);
  const channels = share(C, 16, thread + 1, threads) - channel;
  const at = usize(channel) << 2;
  const weightSums = scratch(thread);
  const biasSums = weightSums + (usize(channels + 15) << 2);
  memory.fill(weightSums, 0, usize(channels + 15) << 3);
  for (let n = 0; n < N; n += rows) {
    const count = min(rows, N - n);
    const from = n + share(count, 1, thread, threads);
    const end = n + share(count, 1, thread + 1, threads);
    inputGradients(x, weight, mean, rstd, dY, dX, accumulate, from, end, C);
    addParameterGradients(x + at, mean, rstd, dY + at, weightSums, biasSums, n, n + count, C, channels);
  }
  for (let c = 0; c < channels; c += 4) {
    const p = c << 2;
    putPart(dWeight + at + p, v128.load(weightSums + p), channels - c, accumulateWeight);
    putPart(dBias + at + p, v128.load(biasSums + p), channels - c, accumulateBias);
  }
}

/** Bytes of x and dY that are worked through at a time: a quarter of Zen 3's second-level cache. */
const BLOCK = 1 << 17;

/** Rows `from` … `end` − 1 of dX. */
function inputGradients(
  x: usize,
  weight: usize,
  mean: usize,
  rstd: usize,
  dY: usize,
  dX: usize,
  accumulate: i32,
  from: i32,
  end: i32,
  C: i32,
): void {
  for (let n = from; n < end; n++) {
    const at = (usize(n) * C) << 2;
    const shift = f32x4.splat(load<f32>(mean + (usize(n) << 2)));
    const by = f32x4.splat(load<f32>(rstd + (usize(n) << 2)));
    // Two sums of each kind side by side, over pairs of vectors: of dX̂, and of dX̂·x̂.
    let sum0 = f32x4.splat(0);
    let sum1 = f32x4.splat(0);
    let dot0 = f32x4.splat(0);
    let dot1 = f32x4.splat(0);
    let c = 0;
    for (; c + 8 <= C; c += 8) {
      const p = c << 2;
      const d0 = f32x4.mul(v128.load(dY + at + p), v128.load(weight + p));
      const d1 = f32x4.mul(v128.load(dY + at + p, 16), v128.load(weight + p, 16));
      sum0 = f32x4.add(sum0, d0);
      sum1 = f32x4.add(sum1, d1);
      dot0 = madd(d0, f32x4.mul(f32x4.sub(v128.load(x + at + p), shift), by), dot0);
      dot1 = madd(d1, f32x4.mul(f32x4.sub(v128.load(x + at + p, 16), shift), by), dot1);
    }
    for (; c < C; c += 4) {
      const p = c << 2;
      const rest = C - c; // lanes beyond it are 0 in dY, and so in both sums
      const d = f32x4.mul(loadPart(dY + at + p, rest), loadPart(weight + p, rest));
      sum0 = f32x4.add(sum0, d);
      dot0 = madd(d, f32x4.mul(f32x4.sub(loadPart(x + at + p, rest), shift), by), dot0);
    }
    const meanD = f32x4.splat(sumLanes(f32x4.add(sum0, sum1)) / f32(C));
    const meanDX = f32x4.splat(sumLanes(f32x4.add(dot0, dot1)) / f32(C));
    for (c = 0; c + 8 <= C; c += 8) {
      const p = c << 2;
      let r0 = inputGradient(x + at + p, weight + p, dY + at + p, shift, by, meanD, meanDX);
      let r1 = inputGradient(x + at + p + 16, weight + p + 16, dY + at + p + 16, shift, by, meanD, meanDX);
      if (accumulate) {
        r0 = f32x4.add(v128.load(dX + at + p), r0);
        r1 = f32x4.add(v128.load(dX + at + p, 16), r1);
      }
      v128.store(dX + at + p, r1, 16);
      v128.store(dX + at + p, r0);
    }
    for (; c < C; c += 4) {
      const p = c << 2;
      const rest = C - c;
      const d = f32x4.mul(loadPart(dY + at + p, rest), loadPart(weight + p, rest));
      const normalised = f32x4.mul(f32x4.sub(loadPart(x + at + p, rest), shift), by);
      const result = f32x4.mul(by, f32x4.sub(f32x4.sub(d, meanD), f32x4.mul(normalised, meanDX)));
      putPart(dX + at + p, result, rest, accumulate);
    }
  }
}

/** Four elements of dX; the operands are where these are. @inline */
function inputGradient(
  x: usize,
  weight: usize,
  dY: usize,
  shift: v128,
  by: v128,
  meanD: v128,
  meanDX: v128,
): v128 {
  const d = f32x4.mul(v128.load(dY), v128.load(weight));
  const normalised = f32x4.mul(f32x4.sub(v128.load(x), shift), by);
  return f32x4.mul(by, f32x4.sub(f32x4.sub(d, meanD), f32x4.mul(normalised, meanDX)));
}

/** Adds rows `from` … `end` − 1 to the sums of so many channels, of C. */
function addParameterGradients(
  x: usize,
  mean: usize,
  rstd: usize,
  dY: usize,
  weightSums: usize,
  biasSums: usize,
  from: i32,
  end: i32,
  C: i32,
  channels: i32,
): void {
  const stride = usize(C) << 2;
  // A cache line of channels at a time: with half of one, each line was read twice.
  let c = 0;
  for (; c + 16 <= channels; c += 16) {
    const p = usize(c) << 2;
    let xs = x + stride * from + p;
    let dYs = dY + stride * from + p;
    let w0 = v128.load(weightSums + p);
    let w1 = v128.load(weightSums + p, 16);
    let w2 = v128.load(weightSums + p, 32);
    let w3 = v128.load(weightSums + p, 48);
    let b0 = v128.load(biasSums + p);
    let b1 = v128.load(biasSums + p, 16);
    let b2 = v128.load(biasSums + p, 32);
    let b3 = v128.load(biasSums + p, 48);
    for (let n = from; n < end; n++) {
      const shift = v128.load32_splat(mean + (usize(n) << 2));
      const by = v128.load32_splat(rstd + (usize(n) << 2));
      const d0 = v128.load(dYs);
      const d1 = v128.load(dYs, 16);
      const d2 = v128.load(dYs, 32);
      const d3 = v128.load(dYs, 48);
      w0 = madd(d0, f32x4.mul(f32x4.sub(v128.load(xs), shift), by), w0);
      w1 = madd(d1, f32x4.mul(f32x4.sub(v128.load(xs, 16), shift), by), w1);
      w2 = madd(d2, f32x4.mul(f32x4.sub(v128.load(xs, 32), shift), by), w2);
      w3 = madd(d3, f32x4.mul(f32x4.sub(v128.load(xs, 48), shift), by), w3);
      b0 = f32x4.add(b0, d0);
      b1 = f32x4.add(b1, d1);
      b2 = f32x4.add(b2, d2);
      b3 = f32x4.add(b3, d3);
      xs += stride;
      dYs += stride;
    }
    v128.store(weightSums + p, w1, 16);
    v128.store(weightSums + p, w0);
    v128.store(weightSums + p, w3, 48);
    v128.store(weightSums + p, w2, 32);
    v128.store(biasSums + p, b1, 16);
    v128.store(biasSums + p, b0);
    v128.store(biasSums + p, b3, 48);
    v128.store(biasSums + p, b2, 32);
  }
  for (; c < channels; c += 4) {
    const p = usize(c) << 2;
    let w = v128.load(weightSums + p);
    let b = v128.load(biasSums + p);
    for (let n = from; n < end; n++) {
      const at = stride * n + p;
      const shift = v128.load32_splat(mean + (usize(n) << 2));
      const by = v128.load32_splat(rstd + (usize(n) << 2));
      const d = loadPart(dY + at, channels - c);
      w = madd(d, f32x4.mul(f32x4.sub(loadPart(x + at, channels - c), shift), by), w);
      b = f32x4.add(b, d);
    }
    v128.store(weightSums + p, w);
    v128.store(biasSums + p, b);
  }
}
