/**
 * GELU in its tanh form and the exact one. Both share the loops, over pairs of vectors as in elementwise.ts; the class F has the
 * function and its derivative. F has no fields, so its instance may have any address. All of it is inlined: the compiled code
 * is that of separate loops.
 */
import { ErfGelu } from './gelu-erf';
import { TanhGelu } from './gelu-tanh';
import { share } from './threads';
import { loadPart, putPart, storePart } from './vector';

const LINE = 16;

/** @inline */
function forward<F>(thread: i32, threads: i32, x: usize, y: usize, n: i32): void {
  const end = share(n, LINE, thread + 1, threads);
  let i = share(n, LINE, thread, threads);
  for (; i + 8 <= end; i += 8) {
    const at = i << 2;
    const low = changetype<F>(0).value4(v128.load(x + at));
    const high = changetype<F>(0).value4(v128.load(x + at, 16));
    v128.store(y + at, high, 16);
    v128.store(y + at, low);
  }
  for (; i < end; i += 4)
    storePart(y + (i << 2), changetype<F>(0).value4(loadPart(x + (i << 2), end - i)), end - i);
}

/** @inline */
function backward<F>(
  thread: i32,
  threads: i32,
  x: usize,
  dY: usize,
  dX: usize,
  accumulate: i32,
  n: i32,
): void {
  const end = share(n, LINE, thread + 1, threads);
  const pairsEnd = accumulate ? 0 : end;
  let i = share(n, LINE, thread, threads);
  for (; i + 8 <= pairsEnd; i += 8) {
    const at = i << 2;
    const low = f32x4.mul(v128.load(dY + at), changetype<F>(0).derivative4(v128.load(x + at)));
    const high = f32x4.mul(v128.load(dY + at, 16), changetype<F>(0).derivative4(v128.load(x + at, 16)));
    v128.store(dX + at, high, 16);
    v128.store(dX + at, low);
  }
  for (; i < end; i += 4) {
    const at = i << 2;
    const d = f32x4.mul(loadPart(dY + at, end - i), changetype<F>(0).derivative4(loadPart(x + at, end - i)));
    putPart(dX + at, d, end - i, accumulate);
  }
}

export function gelu(thread: i32, threads: i32, x: usize, y: usize, n: i32): void {
  forward<TanhGelu>(thread, threads, x, y, n);
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
  backward<TanhGelu>(thread, threads, x, dY, dX, accumulate, n);
}

export function geluErf(thread: i32, threads: i32, x: usize, y: usize, n: i32): void {
  forward<ErfGelu>(thread, threads, x, y, n);
}

export function geluErfBackward(
  thread: i32,
  threads: i32,
  x: usize,
  dY: usize,
  dX: usize,
  accumulate: i32,
  n: i32,
): void {
  backward<ErfGelu>(thread, threads, x, dY, dX, accumulate, n);
}
