/**
 * A few rows times a transposed Q8 matrix (storage.ts). Integer products take half as many operations as widening each byte
 * to float32, so the rows of A are quantized too: to 16 bits, with one scale per block of 32 numbers. That changes a number by
 * at most 2⁻¹⁶ of the largest in its block, far less than quantizing the weights to 8 bits does. B is read in four streams,
 * as in gemv-transposed.ts.
 */
import { GemmArguments } from '../generated/arguments';
import { Q8, Q8_BLOCK, Q8_BLOCK_BYTES } from '../generated/constants';
import { allocate } from '../scratch';
import { rowBytesOf } from '../storage';
import { madd, maxLanes, sumFour, sumLanes } from '../vector';

/** The largest 16-bit number. A block's sum of 32 products with bytes then fits into 32 bits. */
const LARGEST: f32 = 32_767;

/** Blocks whose largest magnitude is below this become 0, since their inverse scale would be infinite. */
const SMALLEST: f32 = 1e-34;

/** A, quantized: a row is K numbers of 16 bits, with a scale for each block. */
let quantized: usize = 0;
let scales: usize = 0;

/** c[m,n] (+)= Σ_k a[m,k]·b[n,k] + bias[n] for n in [from, to). */
export function rowsTimesBlocks(args: GemmArguments, from: i32, to: i32): void {
  if (from >= to) return;
  quantizeRows(args);
  const sums = allocate(4 << 4);
  const quarter = (to - from) >> 2;
  for (let i = 0; i < quarter; i++)
    for (let m = 0; m < args.M; m++) fourColumns(args, m, from + i, quarter, sums);
  const rowBytes = rowBytesOf(args.K, Q8);
  for (let n = from + 4 * quarter; n < to; n++)
    for (let m = 0; m < args.M; m++) {
      let value = sumLanes(dot(args, m, args.b + rowBytes * n));
      if (args.bias) value += load<f32>(args.bias + (usize(n) << 2));
      const at = args.c + ((usize(m) * args.N + n) << 2);
      store<f32>(at, args.accumulateC ? load<f32>(at) + value : value);
    }
}

/** Each thread quantizes all of A for itself: a small part of the work, and no barrier. */
function quantizeRows(args: GemmArguments): void {
  const count = args.M * args.K;
  quantized = allocate(u64(count) << 1);
  scales = allocate(u64(count / Q8_BLOCK) << 2);
  for (let i = 0; i < count; i += Q8_BLOCK)
    quantizeBlock(args.a + (usize(i) << 2), quantized + (usize(i) << 1), scales + (usize(i / Q8_BLOCK) << 2));
}

function quantizeBlock(x: usize, to: usize, scaleAt: usize): void {
  let largest = f32x4.splat(0);
  for (let i = 0; i < Q8_BLOCK; i += 4) largest = f32x4.max(largest, f32x4.abs(v128.load(x + (i << 2))));
  const magnitude = maxLanes(largest); // NaN if the block has one; then so is the scale
  store<f32>(scaleAt, magnitude / LARGEST);
  const factor = f32x4.splat(magnitude > SMALLEST ? LARGEST / magnitude : 0);
  for (let i = 0; i < Q8_BLOCK; i += 8) {
    const low = f32x4.nearest(f32x4.mul(v128.load(x + (i << 2)), factor));
    const high = f32x4.nearest(f32x4.mul(v128.load(x + (i << 2), 16), factor));
    const both = i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(low), i32x4.trunc_sat_f32x4_s(high));
    v128.store(to + (i << 1), both);
  }
}

/** Columns n, n + `apart`, … of a row of C: one of each stream. */
function fourColumns(args: GemmArguments, m: i32, n: i32, apart: i32, sums: usize): void {
  const K = args.K;
  const rowBytes = rowBytesOf(K, Q8);
  const stream = rowBytes * apart;
  let b = args.b + rowBytes * n;
  let a = quantized + ((usize(m) * K) << 1);
  let scale = scales + ((usize(m) * (K / Q8_BLOCK)) << 2);
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let s2 = f32x4.splat(0);
  let s3 = f32x4.splat(0);
  for (let k = 0; k < K; k += Q8_BLOCK) {
    const factor = v128.load32_splat(scale);
    s0 = blockDot(a, b, factor, s0);
    s1 = blockDot(a, b + stream, factor, s1);
    s2 = blockDot(a, b + stream * 2, factor, s2);
    s3 = blockDot(a, b + stream * 3, factor, s3);
    a += Q8_BLOCK << 1;
    b += Q8_BLOCK_BYTES;
    scale += 4;
  }
  let four = sumFour(s0, s1, s2, s3);
  if (args.bias) {
    for (let i = 0; i < 4; i++)
      store<f32>(sums + (i << 2), load<f32>(args.bias + (usize(n + i * apart) << 2)));
    four = f32x4.add(four, v128.load(sums));
  }
  v128.store(sums, four);
  const c = args.c + ((usize(m) * args.N + n) << 2);
  for (let i = 0; i < 4; i++) {
    const at = c + (usize(i * apart) << 2);
    const value = load<f32>(sums + (i << 2));
    store<f32>(at, args.accumulateC ? load<f32>(at) + value : value);
  }
}

/** The product of row m of A with a row of B, as sums of four lanes: the same operations as in `fourColumns`. */
function dot(args: GemmArguments, m: i32, b: usize): v128 {
  const K = args.K;
  let a = quantized + ((usize(m) * K) << 1);
  let scale = scales + ((usize(m) * (K / Q8_BLOCK)) << 2);
  let sum = f32x4.splat(0);
  for (let k = 0; k < K; k += Q8_BLOCK) {
    sum = blockDot(a, b, v128.load32_splat(scale), sum);
    a += Q8_BLOCK << 1;
    b += Q8_BLOCK_BYTES;
    scale += 4;
  }
  return sum;
}

/** sum + the product of two blocks, in four lanes. @inline */
function blockDot(a: usize, b: usize, factor: v128, sum: v128): v128 {
  const first = i32x4.dot_i16x8_s(v128.load(a), v128.load8x8_s(b, 4));
  const second = i32x4.dot_i16x8_s(v128.load(a, 16), v128.load8x8_s(b, 12));
  const third = i32x4.dot_i16x8_s(v128.load(a, 32), v128.load8x8_s(b, 20));
  const fourth = i32x4.dot_i16x8_s(v128.load(a, 48), v128.load8x8_s(b, 28));
  const whole = i32x4.add(i32x4.add(first, second), i32x4.add(third, fourth));
  return madd(f32x4.convert_i32x4_s(whole), f32x4.mul(factor, v128.load32_splat(b)), sum);
}
