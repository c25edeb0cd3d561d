/**
 * The gradient's norm, AdamW, SGD and Lion: linear passes over the flat parameter block, which the threads split at cache lines.
 * Each optimizer fuses the rules it is composed of (src/train/optimizer.ts): clipping, weight decay and moments.
 */
import { barrier } from './barrier';
import {
  AdamwArguments,
  CheckStepArguments,
  GlobalNormArguments,
  Hyperparameters,
  LionArguments,
  SgdArguments,
} from './generated/arguments';
import { NORM_BLOCK } from './generated/constants';
import { sliceEnd, sliceStart, thread } from './threads';
import { FLOATS_PER_LINE, loadPart, storePart } from './vector';

export function globalNorm(args: GlobalNormArguments): void {
  const x = args.x;
  const n = args.n;
  const partials = args.partials;
  const blocks = (n + NORM_BLOCK - 1) / NORM_BLOCK;
  const end = sliceEnd(blocks, 1);
  for (let block = sliceStart(blocks, 1); block < end; block++) {
    let even = f64x2.splat(0);
    let odd = f64x2.splat(0);
    const last = min(n, (block + 1) * NORM_BLOCK);
    for (let i = block * NORM_BLOCK; i < last; i += 4) {
      const v = loadPart(x + (usize(i) << 2), last - i);
      const low = f64x2.promote_low_f32x4(v);
      const high = f64x2.promote_low_f32x4(v128.shuffle<i64>(v, v, 1, 1));
      even = f64x2.add(even, f64x2.mul(low, low));
      odd = f64x2.add(odd, f64x2.mul(high, high));
    }
    const sum = f64x2.add(even, odd);
    store<f64>(partials + (usize(block) << 3), f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
  }
  barrier();
  if (thread != 0) return;
  let sum: f64 = 0;
  for (let block = 0; block < blocks; block++) sum += load<f64>(partials + (usize(block) << 3));
  store<f32>(args.norm, f32(Math.sqrt(sum)));
}

export function checkStep(args: CheckStepArguments): void {
  if (thread != 0) return;
  const hyper = changetype<Hyperparameters>(args.hyper);
  const sum = load<f32>(args.lossSum);
  const norm = load<f32>(args.norm);
  // x − x is NaN if x is not finite.
  if (sum - sum != 0 || norm - norm != 0 || sum > hyper.lossLimit) hyper.stopped = 1;
  store<f32>(args.verdict, norm);
  store<f32>(args.verdict, hyper.stopped, 4);
}

/** Clipping: the factor that scales the gradient so that its norm is at most hyper.clip; 0 switches clipping off. */
export function clipFactor(hyper: Hyperparameters, norm: f32): f32 {
  return hyper.clip > 0 && norm > hyper.clip ? hyper.clip / norm : 1;
}

/** Weight decay: lanes of elements i … i + 3 that are below `decayed` are `decay`, the others `none`. @inline */
function decayOf(i: i32, decayed: i32, decay: v128, none: v128): v128 {
  return v128.bitselect(decay, none, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(decayed - i)));
}

/** Moments: an exponential moving average of g. @inline */
function averaged(average: v128, g: v128, beta: v128, oneMinusBeta: v128): v128 {
  return f32x4.add(f32x4.mul(average, beta), f32x4.mul(g, oneMinusBeta));
}

export function adamw(args: AdamwArguments): void {
  const x = args.x;
  const dX = args.dX;
  const m = args.m;
  const v = args.v;
  const decayed = args.decayed;
  const hyper = changetype<Hyperparameters>(args.hyper);
  if (hyper.stopped != 0) return;
  const rate = hyper.learningRate;
  const factor = f32x4.splat(clipFactor(hyper, load<f32>(args.norm)));
  const beta1 = f32x4.splat(hyper.beta1);
  const beta2 = f32x4.splat(hyper.beta2);
  const rest1 = f32x4.splat(hyper.oneMinusBeta1);
  const rest2 = f32x4.splat(hyper.oneMinusBeta2);
  const epsilon = f32x4.splat(hyper.epsilon);
  const step = f32x4.splat(rate / hyper.correction1);
  const correction2 = f32x4.splat(hyper.correction2);
  const shrink = f32x4.splat(1 - rate * hyper.weightDecay);
  const one = f32x4.splat(1);

  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  let i = sliceStart(args.n, FLOATS_PER_LINE);
  for (; i + 8 <= end; i += 8) {
    if (i < decayed && i + 8 > decayed) break; // a pair that is only partly decayed
    const decay = i < decayed ? shrink : one;
    const at = usize(i) << 2;
    const g0 = f32x4.mul(v128.load(dX + at), factor);
    const g1 = f32x4.mul(v128.load(dX + at, 16), factor);
    const m0 = averaged(v128.load(m + at), g0, beta1, rest1);
    const m1 = averaged(v128.load(m + at, 16), g1, beta1, rest1);
    const v0 = averaged(v128.load(v + at), f32x4.mul(g0, g0), beta2, rest2);
    const v1 = averaged(v128.load(v + at, 16), f32x4.mul(g1, g1), beta2, rest2);
    const root0 = f32x4.add(f32x4.sqrt(f32x4.div(v0, correction2)), epsilon);
    const root1 = f32x4.add(f32x4.sqrt(f32x4.div(v1, correction2)), epsilon);
    const x0 = f32x4.sub(f32x4.mul(v128.load(x + at), decay), f32x4.div(f32x4.mul(m0, step), root0));
    const x1 = f32x4.sub(f32x4.mul(v128.load(x + at, 16), decay), f32x4.div(f32x4.mul(m1, step), root1));
    v128.store(m + at, m1, 16);
    v128.store(m + at, m0);
    v128.store(v + at, v1, 16);
    v128.store(v + at, v0);
    v128.store(x + at, x1, 16);
    v128.store(x + at, x0);
  }
  for (; i < end; i += 4) {
    const at = usize(i) << 2;
    const rest = end - i;
    const g = f32x4.mul(loadPart(dX + at, rest), factor);
    const newM = averaged(loadPart(m + at, rest), g, beta1, rest1);
    const newV = averaged(loadPart(v + at, rest), f32x4.mul(g, g), beta2, rest2);
    const root = f32x4.add(f32x4.sqrt(f32x4.div(newV, correction2)), epsilon);
    const old = f32x4.mul(loadPart(x + at, rest), decayOf(i, decayed, shrink, one));
    storePart(m + at, newM, rest);
    storePart(v + at, newV, rest);
    storePart(x + at, f32x4.sub(old, f32x4.div(f32x4.mul(newM, step), root)), rest);
  }
}

export function sgd(args: SgdArguments): void {
  const x = args.x;
  const dX = args.dX;
  const m = args.m;
  const decayed = args.decayed;
  const hyper = changetype<Hyperparameters>(args.hyper);
  if (hyper.stopped != 0) return;
  const rate = f32x4.splat(hyper.learningRate);
  const factor = f32x4.splat(clipFactor(hyper, load<f32>(args.norm)));
  const momentum = f32x4.splat(hyper.momentum);
  const decay = f32x4.splat(hyper.weightDecay);
  const zero = f32x4.splat(0);

  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  for (let i = sliceStart(args.n, FLOATS_PER_LINE); i < end; i += 4) {
    const at = usize(i) << 2;
    const rest = end - i;
    const old = loadPart(x + at, rest);
    const pull = f32x4.mul(decayOf(i, decayed, decay, zero), old);
    const g = f32x4.add(f32x4.mul(loadPart(dX + at, rest), factor), pull);
    const newM = f32x4.add(f32x4.mul(loadPart(m + at, rest), momentum), g);
    storePart(m + at, newM, rest);
    storePart(x + at, f32x4.sub(old, f32x4.mul(rate, newM)), rest);
  }
}

export function lion(args: LionArguments): void {
  const x = args.x;
  const dX = args.dX;
  const m = args.m;
  const decayed = args.decayed;
  const hyper = changetype<Hyperparameters>(args.hyper);
  if (hyper.stopped != 0) return;
  const rate = f32x4.splat(hyper.learningRate);
  const factor = f32x4.splat(clipFactor(hyper, load<f32>(args.norm)));
  const beta1 = f32x4.splat(hyper.beta1);
  const beta2 = f32x4.splat(hyper.beta2);
  const rest1 = f32x4.splat(hyper.oneMinusBeta1);
  const rest2 = f32x4.splat(hyper.oneMinusBeta2);
  const shrink = f32x4.splat(1 - hyper.learningRate * hyper.weightDecay);
  const one = f32x4.splat(1);
  const zero = f32x4.splat(0);

  const end = sliceEnd(args.n, FLOATS_PER_LINE);
  for (let i = sliceStart(args.n, FLOATS_PER_LINE); i < end; i += 4) {
    const at = usize(i) << 2;
    const rest = end - i;
    const g = f32x4.mul(loadPart(dX + at, rest), factor);
    const old = loadPart(m + at, rest);
    const c = averaged(old, g, beta1, rest1);
    const isAbove = v128.and(f32x4.gt(c, zero), rate);
    const isBelow = v128.and(f32x4.lt(c, zero), rate);
    const kept = f32x4.mul(loadPart(x + at, rest), decayOf(i, decayed, shrink, one));
    storePart(x + at, f32x4.add(f32x4.sub(kept, isAbove), isBelow), rest);
    storePart(m + at, averaged(old, g, beta2, rest2), rest);
  }
}
