/** SwiGLU: y = silu(gate)·up. Threads split the elements at cache lines. */
import { exp4 } from './exp-log';
import { SwigluArguments, SwigluBackwardArguments } from './generated/arguments';
import { sliceEnd, sliceStart } from './threads';
import { FLOATS_PER_LINE, loadPart, putPart, storePart } from './vector';

/** σ(x) = 1/(1 + e^(−x)). @inline */
function sigmoid4(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp4(f32x4.neg(x))));
}

/** @inline */
function value4(gate: v128, up: v128): v128 {
  return f32x4.mul(f32x4.mul(gate, sigmoid4(gate)), up);
}

export function swiglu(args: SwigluArguments): void {
  const gate = args.gate;
  const up = args.up;
  const y = args.y;
  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  let i = sliceStart(args.n, FLOATS_PER_LINE);
  for (; i + 8 <= end; i += 8) {
    const at = i << 2;
    const low = value4(v128.load(gate + at), v128.load(up + at));
    const high = value4(v128.load(gate + at, 16), v128.load(up + at, 16));
    v128.store(y + at, high, 16);
    v128.store(y + at, low);
  }
  for (; i < end; i += 4) {
    const at = i << 2;
    storePart(y + at, value4(loadPart(gate + at, end - i), loadPart(up + at, end - i)), end - i);
  }
}

/** dGate = dY·up·σ·(1 + gate·(1 − σ)) with σ = σ(gate). @inline */
function gateGradient(gate: v128, up: v128, dY: v128, sigmoid: v128): v128 {
  const one = f32x4.splat(1);
  const slope = f32x4.mul(sigmoid, f32x4.add(one, f32x4.mul(gate, f32x4.sub(one, sigmoid))));
  return f32x4.mul(f32x4.mul(dY, up), slope);
}

export function swigluBackward(args: SwigluBackwardArguments): void {
  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  let i = sliceStart(args.n, FLOATS_PER_LINE);
  if (!args.accumulateDGate && !args.accumulateDUp) i = overwriteGradients(args, i, end);
  for (; i < end; i += 4) {
    const at = i << 2;
    const rest = end - i;
    const gate = loadPart(args.gate + at, rest);
    const up = loadPart(args.up + at, rest);
    const dY = loadPart(args.dY + at, rest);
    const sigmoid = sigmoid4(gate);
    putPart(args.dGate + at, gateGradient(gate, up, dY, sigmoid), rest, args.accumulateDGate);
    putPart(args.dUp + at, f32x4.mul(dY, f32x4.mul(gate, sigmoid)), rest, args.accumulateDUp);
  }
}

/** The common case, in pairs of vectors; returns the index of the first remaining element. dUp may be dY. */
function overwriteGradients(args: SwigluBackwardArguments, from: i32, end: i32): i32 {
  const gate = args.gate;
  const up = args.up;
  const dY = args.dY;
  const dGate = args.dGate;
  const dUp = args.dUp;
  let i = from;
  for (; i + 8 <= end; i += 8) {
    const at = i << 2;
    const gate0 = v128.load(gate + at);
    const gate1 = v128.load(gate + at, 16);
    const dY0 = v128.load(dY + at);
    const dY1 = v128.load(dY + at, 16);
    const sigmoid0 = sigmoid4(gate0);
    const sigmoid1 = sigmoid4(gate1);
    const dGate0 = gateGradient(gate0, v128.load(up + at), dY0, sigmoid0);
    const dGate1 = gateGradient(gate1, v128.load(up + at, 16), dY1, sigmoid1);
    v128.store(dGate + at, dGate1, 16);
    v128.store(dGate + at, dGate0);
    const dUp0 = f32x4.mul(dY0, f32x4.mul(gate0, sigmoid0));
    const dUp1 = f32x4.mul(dY1, f32x4.mul(gate1, sigmoid1));
    v128.store(dUp + at, dUp1, 16);
    v128.store(dUp + at, dUp0);
  }
  return i;
}
