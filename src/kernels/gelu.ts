/**
 * GELU, tanh approximation and exact. The two share their loops; the class F provides the function and its derivative. F has
 * no fields, so its instance may have any address. Everything is inlined, so the compiled code is the same as separate loops.
 */
import { ErfGelu } from './gelu-erf';
import { TanhGelu } from './gelu-tanh';
import {
  GeluArguments,
  GeluBackwardArguments,
  GeluErfArguments,
  GeluErfBackwardArguments,
} from './generated/arguments';
import { sliceEnd, sliceStart } from './threads';
import { FLOATS_PER_LINE, loadPart, putPart, storePart } from './vector';

interface Gelu {
  value4(x: v128): v128;
  derivative4(x: v128): v128;
}

/** @inline */
function forward<F extends Gelu>(x: usize, y: usize, n: i32): void {
  const end = sliceEnd(n, FLOATS_PER_LINE);
  let i = sliceStart(n, FLOATS_PER_LINE);
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
function backward<F extends Gelu>(x: usize, dY: usize, dX: usize, accumulate: i32, n: i32): void {
  const end = sliceEnd(n, FLOATS_PER_LINE);
  const pairsEnd = accumulate ? 0 : end;
  let i = sliceStart(n, FLOATS_PER_LINE);
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

export function gelu(args: GeluArguments): void {
  forward<TanhGelu>(args.x, args.y, args.n);
}

export function geluBackward(args: GeluBackwardArguments): void {
  backward<TanhGelu>(args.x, args.dY, args.dX, args.accumulateDX, args.n);
}

export function geluErf(args: GeluErfArguments): void {
  forward<ErfGelu>(args.x, args.y, args.n);
}

export function geluErfBackward(args: GeluErfBackwardArguments): void {
  backward<ErfGelu>(args.x, args.dY, args.dX, args.accumulateDX, args.n);
}
