/**
 * Four float32 lanes at a time: loads and stores of partial vectors, sums over lanes, exp.
 *
 * A tail of fewer than 4 elements goes through the same arithmetic as everything else, only its load and store are
 * partial: so a value never depends on where in a buffer it stands.
 *
 * RELAXED is a constant of the build (scripts/build-kernels.js): 1 where the fused multiply-add of relaxed SIMD is used.
 */

/** a·b + c; with RELAXED rounded once, if the machine has such an instruction. @inline */
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

/** Lanes beyond n become `fill`: the neutral element of a sum or a maximum. @inline */
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
 * √x. V8 compiles the scalar square root to an SSE instruction, which, with the upper halves of vector registers in use, takes
 * some 130 ns; the vector one to an AVX instruction, which takes 5.
 * @inline
 */
export function squareRoot(x: f32): f32 {
  return f32x4.extract_lane(f32x4.sqrt(f32x4.splat(x)), 0);
}

/**
 * Four times one of the numbers that memory.data has laid down at `table`. In a hot loop this is one instruction, where V8
 * builds a vector written as f32x4.splat(1.5) anew from integer registers each time round: GELU became a quarter faster.
 * @inline
 */
export function constant(table: usize, index: usize): v128 {
  return v128.load32_splat(table + (index << 2));
}

const EXP = memory.data<f32>([
  -88.02, // n = −127 from here on: 2ⁿ = 0
  88.3,
  1.44269504, // 1/ln 2
  12583039, // 1.5·2²³ + 127
  -0.693359375, // −ln 2 in two parts: the first has so few digits that n times it is exact
  2.1219444e-4,
  1.98756915e-4, // the polynomial
  1.3981999507e-3,
  8.3334519073e-3,
  4.1665795894e-2,
  1.6666665459e-1,
  5.0000001201e-1,
  1,
]);

/**
 * eˣ: x = n·ln 2 + r with |r| ≤ ½ ln 2, a polynomial of degree 6 in r (Cephes' expf), times 2ⁿ put into the exponent.
 * Rounding to n is done by adding a number so large that the sum has no digits behind the point: 1.5·2²³, and 127 for the
 * exponent's bias. Every operation here is one that V8's revectorize knows; with `nearest` and a conversion, which it does
 * not, GELU took 1.8 times as long.
 * Below −126.5·ln 2, where 2ⁿ would be denormal, it is 0 (−∞ included); above 88.3 it stays at e^88.3; NaN stays NaN.
 * Error: at most 2 units in the last place, over all of [−87.3, 88.3] (test/engine/functions.test.ts measures it).
 * @inline
 */
export function exp4(x: v128): v128 {
  // pmin and pmax return their first operand if one is NaN, and cost one instruction
  const clamped = f32x4.pmin(f32x4.pmax(x, constant(EXP, 0)), constant(EXP, 1));
  const shifter = constant(EXP, 3);
  const shifted = madd(clamped, constant(EXP, 2), shifter);
  const n = f32x4.sub(shifted, shifter);
  let r = madd(n, constant(EXP, 4), clamped);
  r = madd(n, constant(EXP, 5), r);
  let p = madd(constant(EXP, 6), r, constant(EXP, 7));
  p = madd(p, r, constant(EXP, 8));
  p = madd(p, r, constant(EXP, 9));
  p = madd(p, r, constant(EXP, 10));
  p = madd(p, r, constant(EXP, 11));
  p = f32x4.add(madd(p, f32x4.mul(r, r), r), constant(EXP, 12));
  return f32x4.mul(p, i32x4.shl(shifted, 23));
}

/**
 * ln x for normal x > 0: x = 2ᵉ·m with m in [√½, √2), and Cephes' logf polynomial in m − 1.
 * Error: at most 2 units in the last place.
 * @inline
 */
export function log4(x: v128): v128 {
  // The exponent, rounded so that the mantissa is in [√½, √2): what is left of √½'s bits decides.
  const e = i32x4.shr_s(i32x4.sub(x, i32x4.splat(0x3f3504f3)), 23);
  const m = f32x4.sub(i32x4.sub(x, i32x4.shl(e, 23)), f32x4.splat(1));
  const z = f32x4.mul(m, m);
  let p = madd(f32x4.splat(7.0376836292e-2), m, f32x4.splat(-1.151461031e-1));
  p = madd(p, m, f32x4.splat(1.167699874e-1));
  p = madd(p, m, f32x4.splat(-1.2420140846e-1));
  p = madd(p, m, f32x4.splat(1.4249322787e-1));
  p = madd(p, m, f32x4.splat(-1.6668057665e-1));
  p = madd(p, m, f32x4.splat(2.0000714765e-1));
  p = madd(p, m, f32x4.splat(-2.4999993993e-1));
  p = madd(p, m, f32x4.splat(3.3333331174e-1));
  const n = f32x4.convert_i32x4_s(e);
  p = f32x4.mul(f32x4.mul(p, m), z);
  p = madd(n, f32x4.splat(-2.1219444e-4), p);
  p = madd(z, f32x4.splat(-0.5), p);
  return madd(n, f32x4.splat(0.693359375), f32x4.add(m, p));
}

/** ln x of one number, in float64 inside: once a row, so exactness is worth more than speed. @inline */
export function f32Log(x: f32): f32 {
  return f32(NativeMath.log(f64(x)));
}
