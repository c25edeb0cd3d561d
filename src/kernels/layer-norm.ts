/** LayerNorm (Ba, Kiros & Hinton 2016), forward pass. Threads split the rows. */
import { LayerNormArguments } from './generated/arguments';
import { sliceEnd, sliceStart } from './threads';
import { FLOATS_PER_LINE, keepLanes, loadPart, madd, squareRoot, storePart, sumLanes } from './vector';

export function layerNorm(args: LayerNormArguments): void {
  const C = args.C;
  const end = sliceEnd(args.N, FLOATS_PER_LINE); // whole cache lines of mean and rstd
  for (let n = sliceStart(args.N, FLOATS_PER_LINE); n < end; n++) {
    const x = args.x + ((usize(n) * C) << 2);
    const mean = rowSum(x, C) / f32(C);
    const rstd: f32 = 1 / squareRoot(squaredDeviations(x, C, mean) / f32(C) + args.epsilon);
    normalizeRow(args, n, mean, rstd);
    store<f32>(args.mean + (usize(n) << 2), mean);
    store<f32>(args.rstd + (usize(n) << 2), rstd);
  }
}

/** @inline */
function rowSum(x: usize, C: i32): f32 {
  let even = f32x4.splat(0);
  let odd = f32x4.splat(0);
  let c = 0;
  for (; c + 8 <= C; c += 8) {
    even = f32x4.add(even, v128.load(x + (c << 2)));
    odd = f32x4.add(odd, v128.load(x + (c << 2), 16));
  }
  for (; c < C; c += 4) even = f32x4.add(even, loadPart(x + (c << 2), C - c));
  return sumLanes(f32x4.add(even, odd));
}

/**
 * Σ (x − mean)²: computing the variance from Σ x² would suffer from cancellation.
 * @inline
 */
function squaredDeviations(x: usize, C: i32, mean: f32): f32 {
  const zero = f32x4.splat(0);
  const shift = f32x4.splat(mean);
  let even = zero;
  let odd = zero;
  let c = 0;
  for (; c + 8 <= C; c += 8) {
    const low = f32x4.sub(v128.load(x + (c << 2)), shift);
    const high = f32x4.sub(v128.load(x + (c << 2), 16), shift);
    even = madd(low, low, even);
    odd = madd(high, high, odd);
  }
  for (; c < C; c += 4) {
    const d = keepLanes(f32x4.sub(loadPart(x + (c << 2), C - c), shift), C - c, zero);
    even = madd(d, d, even);
  }
  return sumLanes(f32x4.add(even, odd));
}

/** @inline */
function normalizeRow(args: LayerNormArguments, n: i32, mean: f32, rstd: f32): void {
  const C = args.C;
  const weight = args.weight;
  const bias = args.bias;
  const x = args.x + ((usize(n) * C) << 2);
  const y = args.y + ((usize(n) * C) << 2);
  const shift = f32x4.splat(mean);
  const scale = f32x4.splat(rstd);
  let c = 0;
  for (; c + 8 <= C; c += 8) {
    const at = c << 2;
    const low = f32x4.mul(f32x4.sub(v128.load(x + at), shift), scale);
    const high = f32x4.mul(f32x4.sub(v128.load(x + at, 16), shift), scale);
    v128.store(y + at, madd(high, v128.load(weight + at, 16), v128.load(bias + at, 16)), 16);
    v128.store(y + at, madd(low, v128.load(weight + at), v128.load(bias + at)));
  }
  for (; c < C; c += 4) {
    const at = c << 2;
    const rest = C - c;
    const normalized = f32x4.mul(f32x4.sub(loadPart(x + at, rest), shift), scale);
    storePart(y + at, madd(normalized, loadPart(weight + at, rest), loadPart(bias + at, rest)), rest);
  }
}
