/** Maximum, sums and scaling of a row of C contiguous elements. */
import { exp4 } from './exp-log';
import { keepLanes, loadPart, madd, maxLanes, putPart, storePart, sumLanes } from './vector';

/** The largest element of a row. */
export function rowMax(x: usize, C: i32): f32 {
  const low = f32x4.splat(-f32.MAX_VALUE);
  let largest = low;
  let c = 0;
  for (; c + 4 <= C; c += 4) largest = f32x4.max(largest, v128.load(x + (c << 2)));
  if (c < C) largest = f32x4.max(largest, keepLanes(loadPart(x + (c << 2), C - c), C - c, low));
  return maxLanes(largest);
}

/** Σ exp((x − shift)·factor) over a row. Unless y is 0, the terms are stored there; y may be x. */
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

/** x += shift over a row. */
export function rowAdd(x: usize, C: i32, shift: f32): void {
  const by = f32x4.splat(shift);
  for (let c = 0; c < C; c += 4) putPart(x + (c << 2), by, C - c, 1);
}

/** Σ x over a row. */
export function rowSum(x: usize, C: i32): f32 {
  let sum = f32x4.splat(0);
  for (let c = 0; c < C; c += 4) sum = f32x4.add(sum, loadPart(x + (c << 2), C - c));
  return sumLanes(sum);
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

/** Bytes of x and dY in a block of rows: a quarter of a 512 KB L2. */
const BLOCK = 1 << 17;

/** Rows whose x and dY [rows,C] stay in L2 while a norm's backward pass reads them twice. */
export function rowsPerBlock(C: i32): i32 {
  return max(16, BLOCK / (C << 3));
}
