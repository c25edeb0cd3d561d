/**
 * Four float32 lanes: loads and stores of partial vectors, multiply-add, sums over lanes.
 *
 * A tail of fewer than four elements goes through the same arithmetic as full vectors; only its load and store are partial.
 * So a value never depends on its position in a buffer.
 */
import { RELAXED } from './generated/constants';

/** Slices of vectors start on cache lines. */
export const FLOATS_PER_LINE: i32 = 16;

/** a·b + c; in the relaxed builds rounded once, where the CPU has a fused multiply-add. @inline */
export function madd(a: v128, b: v128, c: v128): v128 {
  if (RELAXED) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** Loads n ≥ 1 floats into the first lanes, at most 4; the others are 0. @inline */
export function loadPart(p: usize, n: i32): v128 {
  if (n >= 4) return v128.load(p);
  let v = v128.load32_zero(p);
  if (n > 1) v = f32x4.replace_lane(v, 1, load<f32>(p, 4));
  if (n > 2) v = f32x4.replace_lane(v, 2, load<f32>(p, 8));
  return v;
}

/** Stores the first n ≥ 1 lanes, at most 4. @inline */
export function storePart(p: usize, v: v128, n: i32): void {
  if (n >= 4) {
    v128.store(p, v);
    return;
  }
  store<f32>(p, f32x4.extract_lane(v, 0));
  if (n > 1) store<f32>(p, f32x4.extract_lane(v, 1), 4);
  if (n > 2) store<f32>(p, f32x4.extract_lane(v, 2), 8);
}

/** p[0…n−1] (+)= v. @inline */
export function putPart(p: usize, v: v128, n: i32, accumulate: i32): void {
  storePart(p, accumulate ? f32x4.add(loadPart(p, n), v) : v, n);
}

/** Lanes n and above become `fill`, the identity element of a sum or a maximum. @inline */
export function keepLanes(v: v128, n: i32, fill: v128): v128 {
  if (n >= 4) return v;
  return v128.bitselect(v, fill, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(n)));
}

/** @inline */
export function sumLanes(v: v128): f32 {
  return (
    f32x4.extract_lane(v, 0) +
    f32x4.extract_lane(v, 1) +
    (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
  );
}

/** The sums of four vectors' lanes, each in the order of `sumLanes`. @inline */
export function sumFour(s0: v128, s1: v128, s2: v128, s3: v128): v128 {
  const a = v128.shuffle<i32>(s0, s1, 0, 4, 1, 5);
  const b = v128.shuffle<i32>(s2, s3, 0, 4, 1, 5);
  const c = v128.shuffle<i32>(s0, s1, 2, 6, 3, 7);
  const e = v128.shuffle<i32>(s2, s3, 2, 6, 3, 7);
  const low = f32x4.add(v128.shuffle<i64>(a, b, 0, 2), v128.shuffle<i64>(a, b, 1, 3));
  return f32x4.add(low, f32x4.add(v128.shuffle<i64>(c, e, 0, 2), v128.shuffle<i64>(c, e, 1, 3)));
}

/** @inline */
export function maxLanes(v: v128): f32 {
  return max(
    max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
}

/**
 * √x. V8 compiles the scalar square root to an SSE instruction, which takes about 130 ns while the upper halves of vector
 * registers are in use; the vector one becomes an AVX instruction, which takes 5 ns.
 * @inline
 */
export function squareRoot(x: f32): f32 {
  return f32x4.extract_lane(f32x4.sqrt(f32x4.splat(x)), 0);
}
