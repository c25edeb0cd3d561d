/** GPT-2's GELU (gelu_new): ½x(1 + tanh u) with u = √(2/π)(x + 0.044715x³). */
import { constant, exp4 } from './exp-log';
import { madd } from './vector';

const TABLE = memory.data<f32>([
  1,
  -1.5957691216057308, // −2√(2/π)
  -0.07135481282, // −2√(2/π)·0.044715
  1.5957691216057308,
  0.21406443847, // 2√(2/π)·3·0.044715
]);

/** −2u of GELU's tanh u, so that ½(1 + tanh u) = 1/(1 + e^(−2u)): u = √(2/π)(x + 0.044715x³). @inline */
function exponent(x: v128, square: v128): v128 {
  return f32x4.mul(x, madd(constant(TABLE, 2), square, constant(TABLE, 1)));
}

/** For the loops of gelu.ts. */
@unmanaged
export class TanhGelu {
  /**
   * GELU as x·σ(2u): the same function as with tanh, without the cancellation of 1 + tanh u for negative x.
   * @inline
   */
  value4(x: v128): v128 {
    return f32x4.div(x, f32x4.add(constant(TABLE, 0), exp4(exponent(x, f32x4.mul(x, x)))));
  }

  /** σ + x·σ(1 − σ)·2u′ with 2u′ = 2√(2/π)(1 + 3·0.044715x²). @inline */
  derivative4(x: v128): v128 {
    const one = constant(TABLE, 0);
    const square = f32x4.mul(x, x);
    const sigma = f32x4.div(one, f32x4.add(one, exp4(exponent(x, square))));
    const slope = madd(constant(TABLE, 4), square, constant(TABLE, 3));
    return madd(f32x4.mul(f32x4.mul(x, slope), sigma), f32x4.sub(one, sigma), sigma);
  }
}
