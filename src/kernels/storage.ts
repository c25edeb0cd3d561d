/**
 * Weights stored in fewer than 32 bits, widened to float32 as they are read. The two 16-bit types are subsets of float32, so
 * nothing is rounded: results are bit-identical to those with the same weights in float32.
 *
 * Q8 stores blocks of 32 numbers: a float32 scale, then 32 signed bytes. A number is scale · byte. Rows consist of whole blocks.
 */
import { BF16, F32, Q8, Q8_BLOCK, Q8_BLOCK_BYTES } from './generated/constants';
import { loadPart, storePart } from './vector';

/** Bytes of a row of n numbers. @inline */
export function rowBytesOf(n: i32, type: i32): usize {
  if (type == Q8) return usize(n / Q8_BLOCK) * Q8_BLOCK_BYTES;
  return usize(n) << shiftOf(type);
}

/** Binary logarithm of the bytes of a number, of any type but Q8. @inline */
export function shiftOf(type: i32): i32 {
  return type == F32 ? 2 : 1;
}

/** Widens four numbers, sign-extended to 32 bits. @inline */
function widenFour(bits: v128, type: i32): v128 {
  if (type == BF16) return i32x4.shl(bits, 16); // the upper half of a float32
  // float16: exponent and fraction are shifted to their places in a float32; of the copies of the sign above them, only the
  // first is kept. The result is too small by 2^(127 − 15); scaling is exact for subnormals, too. Loading refuses NaN and ∞.
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

/** Writes n numbers of a row as float32, from number `first` on. Not for float32 itself. */
export function widen(target: usize, row: usize, first: i32, n: i32, type: i32): void {
  if (type == Q8) {
    widenBlocks(target, row, first, n);
    return;
  }
  const source = row + (usize(first) << 1);
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

/** The same for Q8. The first and the last block may be read in part. */
function widenBlocks(target: usize, row: usize, first: i32, n: i32): void {
  const end = first + n;
  while (first < end) {
    const block = row + usize(first / Q8_BLOCK) * Q8_BLOCK_BYTES;
    const inBlock = first % Q8_BLOCK;
    const count = min(Q8_BLOCK - inBlock, end - first);
    const scale = v128.load32_splat(block);
    const bytes = block + 4 + inBlock;
    let i = 0;
    for (; i + 8 <= count; i += 8) {
      const wide = v128.load8x8_s(bytes + i);
      const low = f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(wide));
      const high = f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(wide));
      const to = target + (usize(i) << 2);
      v128.store(to, f32x4.mul(scale, high), 16);
      v128.store(to, f32x4.mul(scale, low));
    }
    for (; i < count; i++) store<f32>(target + (usize(i) << 2), load<f32>(block) * f32(load<i8>(bytes + i)));
    target += usize(count) << 2;
    first += count;
  }
}
