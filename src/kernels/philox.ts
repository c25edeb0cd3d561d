/** Philox4x32-10 (Salmon et al., SC 2011) for eight counters at once: the random words of engine/philox.ts. */

/** Bytes of the masks of 16 elements. */
export const MASK_BYTES = 64;

/** The lower halves of two unsigned 64-bit products in `low` and two in `high`. @inline */
function lowerHalves(low: v128, high: v128): v128 {
  return v128.shuffle<i32>(low, high, 0, 2, 4, 6);
}

/** Their upper halves. @inline */
function upperHalves(low: v128, high: v128): v128 {
  return v128.shuffle<i32>(low, high, 1, 3, 5, 7);
}

/**
 * Dropout masks of twice 16 consecutive elements, each from 4 counters of 4 words: all bits set where the word is ≥ threshold,
 * else 0. A round waits for the products of the one before, so the two groups alternate.
 *
 * @param masks address of twice MASK_BYTES for the masks, in the order of the elements
 * @param first the first counter of the first group: element index / 4
 * @param second that of the second group
 */
export function dropoutMasks(
  masks: usize,
  rng: usize,
  first: u32,
  second: u32,
  site: i32,
  threshold: i32,
): void {
  const counters = i32x4(0, 1, 2, 3);
  let a0 = i32x4.add(i32x4.splat(first), counters);
  let b0 = i32x4.add(i32x4.splat(second), counters);
  let a1 = i32x4.splat(site);
  let b1 = a1;
  let a2 = i32x4.splat(load<i32>(rng, 8));
  let b2 = a2;
  let a3 = i32x4.splat(load<i32>(rng, 12));
  let b3 = a3;
  let k0 = i32x4.splat(load<i32>(rng));
  let k1 = i32x4.splat(load<i32>(rng, 4));
  const m0 = i32x4.splat(0xd2511f53);
  const m1 = i32x4.splat(0xcd9e8d57);
  for (let round = 0; round < 10; round++) {
    const al0 = i64x2.extmul_low_i32x4_u(a0, m0);
    const ah0 = i64x2.extmul_high_i32x4_u(a0, m0);
    const bl0 = i64x2.extmul_low_i32x4_u(b0, m0);
    const bh0 = i64x2.extmul_high_i32x4_u(b0, m0);
    const al1 = i64x2.extmul_low_i32x4_u(a2, m1);
    const ah1 = i64x2.extmul_high_i32x4_u(a2, m1);
    const bl1 = i64x2.extmul_low_i32x4_u(b2, m1);
    const bh1 = i64x2.extmul_high_i32x4_u(b2, m1);
    a0 = v128.xor(upperHalves(al1, ah1), v128.xor(a1, k0));
    b0 = v128.xor(upperHalves(bl1, bh1), v128.xor(b1, k0));
    a1 = lowerHalves(al1, ah1);
    b1 = lowerHalves(bl1, bh1);
    a2 = v128.xor(upperHalves(al0, ah0), v128.xor(a3, k1));
    b2 = v128.xor(upperHalves(bl0, bh0), v128.xor(b3, k1));
    a3 = lowerHalves(al0, ah0);
    b3 = lowerHalves(bl0, bh0);
    k0 = i32x4.add(k0, i32x4.splat(0x9e3779b9));
    k1 = i32x4.add(k1, i32x4.splat(0xbb67ae85));
  }
  putMasks(masks, a0, a1, a2, a3, threshold);
  putMasks(masks + MASK_BYTES, b0, b1, b2, b3, threshold);
}

/** Compares the words of 4 counters; lane i of c0 … c3 belongs to counter i, so they are transposed. @inline */
function putMasks(masks: usize, c0: v128, c1: v128, c2: v128, c3: v128, threshold: i32): void {
  const bound = i32x4.splat(threshold);
  c0 = i32x4.ge_u(c0, bound);
  c1 = i32x4.ge_u(c1, bound);
  c2 = i32x4.ge_u(c2, bound);
  c3 = i32x4.ge_u(c3, bound);
  const a = v128.shuffle<i32>(c0, c1, 0, 4, 1, 5);
  const b = v128.shuffle<i32>(c2, c3, 0, 4, 1, 5);
  const c = v128.shuffle<i32>(c0, c1, 2, 6, 3, 7);
  const d = v128.shuffle<i32>(c2, c3, 2, 6, 3, 7);
  v128.store(masks, v128.shuffle<i64>(a, b, 1, 3), 16);
  v128.store(masks, v128.shuffle<i64>(a, b, 0, 2));
  v128.store(masks, v128.shuffle<i64>(c, d, 1, 3), 48);
  v128.store(masks, v128.shuffle<i64>(c, d, 0, 2), 32);
}
