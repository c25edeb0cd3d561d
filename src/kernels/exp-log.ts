/** eˣ and ln x of four lanes, after Cephes (Moshier 1989). */
import { madd } from './vector';

/**
 * Broadcasts number `index` of a table in static data. In a hot loop this is one instruction, whereas V8 would build
 * f32x4.splat(1.5) from integer registers in every iteration, which made GELU a quarter slower.
 * @inline
 */
export function constant(table: usize, index: usize): v128 {
  return v128.load32_splat(table + (index << 2));
}

const EXP = memory.data<f32>([
  -88.02, // below it n ≤ −127, for which 2ⁿ is computed as 0
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
 * x/ln 2 is rounded to n by adding 1.5·2²³, which leaves no fraction bits, plus 127 for the exponent's bias. V8's
 * revectorize supports every operation here; with `nearest` and a conversion, which it does not, GELU took 1.8 times as long.
 * Below −126.5·ln 2, where 2ⁿ would be denormal, the result is 0 (−∞ included); above 88.3 it is e^88.3; NaN stays NaN.
 * Error: at most 2 ulp over [−87.3, 88.3] (measured by test/engine/functions.test.ts).
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
 * Error: at most 2 ulp.
 * @inline
 */
export function log4(x: v128): v128 {
  // Subtracting the bits of √½ first makes the shift round the exponent so that the mantissa is in [√½, √2).
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

/** ln x of one number, computed in float64: it runs once per row, so accuracy matters more than speed. @inline */
export function f32Log(x: f32): f32 {
  return f32(NativeMath.log(f64(x)));
}
