/**
 * Kernels that treat each element by itself. Threads split the elements in whole cache lines. Vectors are handled in
 * pairs, which V8's revectorize turns into one 256-bit operation. Of a pair, here and everywhere, the upper half is stored first: the
 * other way round, V8 keeps the store of the lower half beside that of both, which cost whole training steps 2 to 5 %.
 */
import { constant, exp4, loadPart, madd, putPart, storePart } from './vector';
import { share } from './threads';

const LINE = 16;

export function add(thread: i32, threads: i32, a: usize, b: usize, y: usize, n: i32): void {
  const end = share(n, LINE, thread + 1, threads);
  let i = share(n, LINE, thread, threads);
  for (; i + 8 <= end; i += 8) {
    const at = i << 2;
    const low = f32x4.add(v128.load(a + at), v128.load(b + at));
    const high = f32x4.add(v128.load(a + at, 16), v128.load(b + at, 16));
    v128.store(y + at, high, 16);
    v128.store(y + at, low);
  }
  for (; i < end; i += 4) {
    const at = i << 2;
    storePart(y + at, f32x4.add(loadPart(a + at, end - i), loadPart(b + at, end - i)), end - i);
  }
}

export function copy(thread: i32, threads: i32, x: usize, y: usize, accumulate: i32, n: i32): void {
  const end = share(n, LINE, thread + 1, threads);
  for (let i = share(n, LINE, thread, threads); i < end; i += 4) {
    const at = i << 2;
    putPart(y + at, loadPart(x + at, end - i), end - i, accumulate);
  }
}

const GELU = memory.data<f32>([
  1,
  -1.5957691216057308, // −2√(2/π)
  -0.07135481282, // −2√(2/π)·0.044715
  1.5957691216057308,
  0.21406443847, // 2√(2/π)·3·0.044715
]);

/** −2u of GELU's tanh u, so that ½(1 + tanh u) = 1/(1 + e^(−2u)): u = √(2/π)(x + 0.044715x³). */
// @ts-ignore: decorator
@inline
function exponent(x: v128, square: v128): v128 {
  return f32x4.mul(x, madd(constant(GELU, 2), square, constant(GELU, 1)));
}

/** GELU as x·σ(2u): the same function as with tanh, without the cancellation of 1 + tanh u for negative x. */
// @ts-ignore: decorator
@inline
function gelu4(x: v128): v128 {
  return f32x4.div(x, f32x4.add(constant(GELU, 0), exp4(exponent(x, f32x4.mul(x, x)))));
}

/** σ + x·σ(1 − σ)·2u′ with 2u′ = 2√(2/π)(1 + 3·0.044715x²). */
// @ts-ignore: decorator
@inline
function geluDerivative4(x: v128): v128 {
  const one = constant(GELU, 0);
  const square = f32x4.mul(x, x);
  const sigma = f32x4.div(one, f32x4.add(one, exp4(exponent(x, square))));
  const slope = madd(constant(GELU, 4), square, constant(GELU, 3));
  return madd(f32x4.mul(f32x4.mul(x, slope), sigma), f32x4.sub(one, sigma), sigma);
}

export function gelu(thread: i32, threads: i32, x: usize, y: usize, n: i32): void {
  const end = share(n, LINE, thread + 1, threads);
  let i = share(n, LINE, thread, threads);
  for (; i + 8 <= end; i += 8) {
    const at = i << 2;
    const low = gelu4(v128.load(x + at));
    const high = gelu4(v128.load(x + at, 16));
    v128.store(y + at, high, 16);
    v128.store(y + at, low);
  }
  for (; i < end; i += 4) storePart(y + (i << 2), gelu4(loadPart(x + (i << 2), end - i)), end - i);
}

export function geluBackward(
  thread: i32,
  threads: i32,
  x: usize,
  dY: usize,
  dX: usize,
  accumulate: i32,
  n: i32,
): void {
  const end = share(n, LINE, thread + 1, threads);
  let i = share(n, LINE, thread, threads);
  for (; i + 8 <= end && !accumulate; i += 8) {
    const at = i << 2;
    const low = f32x4.mul(v128.load(dY + at), geluDerivative4(v128.load(x + at)));
    const high = f32x4.mul(v128.load(dY + at, 16), geluDerivative4(v128.load(x + at, 16)));
    v128.store(dX + at, high, 16);
    v128.store(dX + at, low);
  }
  for (; i < end; i += 4) {
    const at = i << 2;
    const d = f32x4.mul(loadPart(dY + at, end - i), geluDerivative4(loadPart(x + at, end - i)));
    putPart(dX + at, d, end - i, accumulate);
  }
}

export function relu(thread: i32, threads: i32, x: usize, y: usize, n: i32): void {
  const end = share(n, LINE, thread + 1, threads);
  for (let i = share(n, LINE, thread, threads); i < end; i += 4) {
    const at = i << 2;
    storePart(y + at, f32x4.max(loadPart(x + at, end - i), f32x4.splat(0)), end - i);
  }
}

export function reluBackward(
  thread: i32,
  threads: i32,
  x: usize,
  dY: usize,
  dX: usize,
  accumulate: i32,
  n: i32,
): void {
  const end = share(n, LINE, thread + 1, threads);
  for (let i = share(n, LINE, thread, threads); i < end; i += 4) {
    const at = i << 2;
    const positive = f32x4.gt(loadPart(x + at, end - i), f32x4.splat(0));
    putPart(dX + at, v128.and(loadPart(dY + at, end - i), positive), end - i, accumulate);
  }
}
