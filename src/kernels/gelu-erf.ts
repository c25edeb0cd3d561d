/**
 * The exact GELU, x·Φ(x). With a = |x| and the tail Q = Φ(−a), Φ is 1 − Q right of 0 and Q left of it, so
 * x·Φ(x) = max(x, 0) − a·Q, without the cancellation of 1 + erf for negative x.
 *
 * Q = e^(−a²/2)·t·P(t) with t = 1/(1 + 0.3a) and P of degree 7: the form of Hastings (1955; Abramowitz & Stegun 1964,
 * 26.2.17, where P has degree 4 and the absolute error of Q is below 7.5e-8). Here the coefficients minimize the relative
 * error over 0 ≤ a ≤ 14: below 1.5e-7, so the far left tail stays accurate. Rounding adds to it, mostly that of a²/2, which
 * the exponential magnifies: the relative error is within 1e-6 for x ≥ −5 and within 2.5e-6 for x ≥ −10.
 */
import { constant, exp4 } from './exp-log';
import { madd } from './vector';

const TABLE = memory.data<f32>([
  14, // from here on Q is 0 in float32
  0.3,
  1,
  -0.5,
  0.03567487578860911, // P
  -0.15720349531538172,
  0.20635418971640931,
  -0.05368424077099769,
  0.12856192203881325,
  0.0999134093206282,
  0.12075396817212714,
  0.11962929811062462,
  0,
  0.3989422804014327, // 1/√(2π)
  -14,
]);

/** e^(−a²/2). @inline */
function bell4(a: v128): v128 {
  return exp4(f32x4.mul(f32x4.mul(a, a), constant(TABLE, 3)));
}

/** Φ(−a), given e^(−a²/2). @inline */
function tail4(a: v128, bell: v128): v128 {
  const t = f32x4.div(constant(TABLE, 2), madd(constant(TABLE, 1), a, constant(TABLE, 2)));
  let p = madd(constant(TABLE, 4), t, constant(TABLE, 5));
  p = madd(p, t, constant(TABLE, 6));
  p = madd(p, t, constant(TABLE, 7));
  p = madd(p, t, constant(TABLE, 8));
  p = madd(p, t, constant(TABLE, 9));
  p = madd(p, t, constant(TABLE, 10));
  p = madd(p, t, constant(TABLE, 11));
  return f32x4.mul(f32x4.mul(p, t), bell);
}

/** For the loops of gelu.ts. */
@unmanaged
export class ErfGelu {
  /** x·Φ(x). @inline */
  value4(x: v128): v128 {
    const a = f32x4.pmin(f32x4.abs(x), constant(TABLE, 0));
    return f32x4.sub(f32x4.max(x, constant(TABLE, 12)), f32x4.mul(a, tail4(a, bell4(a))));
  }

  /** Φ(x) + x·φ(x). @inline */
  derivative4(x: v128): v128 {
    const bounded = f32x4.pmax(f32x4.pmin(x, constant(TABLE, 0)), constant(TABLE, 14));
    const a = f32x4.abs(bounded);
    const bell = bell4(a);
    const tail = tail4(a, bell);
    const isRight = f32x4.ge(x, constant(TABLE, 12));
    const phi = v128.bitselect(f32x4.sub(constant(TABLE, 2), tail), tail, isRight);
    return madd(f32x4.mul(bounded, constant(TABLE, 13)), bell, phi);
  }
}
