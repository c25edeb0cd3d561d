/** Philox4x32-10 (Salmon et al., SC 2011) for four counters at once: the random words of engine/philox.ts. */

/** Upper halves of the four unsigned 32×32-bit products. @inline */
function multiplyHigh(a: v128, b: v128): v128 {
  const low = i64x2.extmul_low_i32x4_u(a, b);
  const high = i64x2.extmul_high_i32x4_u(a, b);
  return v128.shuffle<i32>(low, high, 1, 3, 5, 7);
}

/** Bytes of the masks of 16 elements. */
export const MASK_BYTES = 64;

/**
 * Dropout masks of 16 consecutive elements, from 4 counters of 4 words each: all bits set where the word is ≥ threshold, else 0.
 *
 * @param masks address of MASK_BYTES for the masks, in the order of the elements
 * @param counter the first counter: element index / 4
 */
export function dropoutMasks(masks: usize, rng: usize, counter: u32, site: i32, threshold: i32): void {
  const bound = i32x4.splat(threshold);
  let c0 = i32x4.add(i32x4.splat(counter), i32x4(0, 1, 2, 3));
  let c1 = i32x4.splat(site);
  let c2 = i32x4.splat(load<i32>(rng, 8));
  let c3 = i32x4.splat(load<i32>(rng, 12));
  let k0 = load<i32>(rng);
  let k1 = load<i32>(rng, 4);
  const m0 = i32x4.splat(0xd2511f53);
  const m1 = i32x4.splat(0xcd9e8d57);
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(m0, c0);
    const low0 = i32x4.mul(m0, c0);
    const high1 = multiplyHigh(m1, c2);
    const low1 = i32x4.mul(m1, c2);
    c0 = v128.xor(v128.xor(high1, c1), i32x4.splat(k0));
    c1 = low1;
    c2 = v128.xor(v128.xor(high0, c3), i32x4.splat(k1));
    c3 = low0;
    k0 += 0x9e3779b9;
    k1 += 0xbb67ae85;
  }
  c0 = i32x4.ge_u(c0, bound);
  c1 = i32x4.ge_u(c1, bound);
  c2 = i32x4.ge_u(c2, bound);
  c3 = i32x4.ge_u(c3, bound);
  // Lane i of c0 … c3 belongs to counter i, so they are transposed.
  const a = v128.shuffle<i32>(c0, c1, 0, 4, 1, 5);
  const b = v128.shuffle<i32>(c2, c3, 0, 4, 1, 5);
  const c = v128.shuffle<i32>(c0, c1, 2, 6, 3, 7);
  const d = v128.shuffle<i32>(c2, c3, 2, 6, 3, 7);
  v128.store(masks, v128.shuffle<i64>(a, b, 1, 3), 16);
  v128.store(masks, v128.shuffle<i64>(a, b, 0, 2));
  v128.store(masks, v128.shuffle<i64>(c, d, 1, 3), 48);
  v128.store(masks, v128.shuffle<i64>(c, d, 0, 2), 32);
}
