/** The search for NaN and infinity in weights that have just been loaded. Runs on the main thread alone, outside programs. */

/** Clears the sign bit of a float32. As an integer, the rest is at least INFINITY exactly if the number is infinite or NaN. */
const MAGNITUDE: i32 = 0x7fff_ffff;
const INFINITY: i32 = 0x7f80_0000;
/** Elements between two checks of the result. */
const BLOCK: i32 = 64;

/** The index of the first of n float32 that is NaN or infinite, or −1. */
export function firstNonFinite(values: usize, n: i32): i32 {
  let i = 0;
  while (i + BLOCK <= n && !anyNonFinite(values + (usize(i) << 2))) i += BLOCK;
  for (; i < n; i++) if ((load<i32>(values + (usize(i) << 2)) & MAGNITUDE) >= INFINITY) return i;
  return -1;
}

/** True if any of BLOCK float32 numbers is NaN or infinite. @inline */
function anyNonFinite(values: usize): bool {
  const end = values + (usize(BLOCK) << 2);
  let low = i32x4.splat(0);
  let high = low;
  for (let at = values; at < end; at += 32) {
    low = i32x4.max_s(low, magnitude(at));
    high = i32x4.max_s(high, magnitude(at + 16));
  }
  return v128.any_true(i32x4.ge_s(i32x4.max_s(low, high), i32x4.splat(INFINITY)));
}

/** @inline */
function magnitude(at: usize): v128 {
  return v128.and(v128.load(at), i32x4.splat(MAGNITUDE));
}
