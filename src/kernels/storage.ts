/**
 * Weights stored in 16 bits, widened to float32 as they are read. Both types are subsets of float32, so nothing is rounded:
 * results have the bits that they have with the same weights in float32.
 */
import { BF16, F32 } from './generated/constants';
import { loadPart, storePart } from './vector';

/** Binary logarithm of the bytes of a number. @inline */
export function shiftOf(type: i32): i32 {
  return type == F32 ? 2 : 1;
}

/** Widens four numbers, sign-extended to 32 bits. @inline */
function widenFour(bits: v128, type: i32): v128 {
  if (type == BF16) return i32x4.shl(bits, 16); // the upper half of a float32
  // float16: exponent and fraction are moved to their place in a float32, below copies of the sign, of which the first is kept.
  // That is too small by 2^(127 − 15). The product is exact for subnormal numbers too. Loading has refused NaN and infinity.
  const moved = v128.and(i32x4.shl(bits, 13), i32x4.splat(0x8fff_ffff));
  return f32x4.mul(moved, f32x4.splat(reinterpret<f32>(0x7780_0000)));
}

/** Four numbers of a type. @inline */
export function loadFour(p: usize, type: i32): v128 {
  return type == F32 ? v128.load(p) : widenFour(v128.load16x4_s(p), type);
}

/** The four numbers after those of `loadFour`. @inline */
export function loadNextFour(p: usize, type: i32): v128 {
  return type == F32 ? v128.load(p, 16) : widenFour(v128.load16x4_s(p, 8), type);
}

/** The first n ≥ 1 of four numbers; the others are 0. @inline */
export function loadPartOf(p: usize, n: i32, type: i32): v128 {
  if (type == F32) return loadPart(p, n);
  if (n >= 4) return widenFour(v128.load16x4_s(p), type);
  let bits = i32x4.splat(0);
  bits = i32x4.replace_lane(bits, 0, load<i16>(p));
  if (n > 1) bits = i32x4.replace_lane(bits, 1, load<i16>(p, 2));
  if (n > 2) bits = i32x4.replace_lane(bits, 2, load<i16>(p, 4));
  return widenFour(bits, type);
}

/** Writes n numbers of a 16-bit type as float32. */
export function widen(target: usize, source: usize, n: i32, type: i32): void {
  let i = 0;
  for (; i + 8 <= n; i += 8) {
    const from = source + (usize(i) << 1);
    const to = target + (usize(i) << 2);
    const low = widenFour(v128.load16x4_s(from), type);
    const high = widenFour(v128.load16x4_s(from, 8), type);
    v128.store(to, high, 16);
    v128.store(to, low);
  }
  for (; i < n; i += 4)
    storePart(target + (usize(i) << 2), loadPartOf(source + (usize(i) << 1), n - i, type), n - i);
}
