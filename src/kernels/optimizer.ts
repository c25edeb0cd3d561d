/**
 * The gradient's norm, AdamW and SGD: linear passes over the flat parameter block. Threads split whole cache lines. Each
 * optimizer fuses the rules it is composed of (src/train/optimizer.ts): clip, decay and moments.
 */
import { loadPart, storePart } from './vector';
import { barrier, share } from './threads';

/** Elements summed at once; part of the result's definition, so it must not depend on the number of threads. */
const BLOCK = 4096;

export function globalNorm(thread: i32, threads: i32, x: usize, partials: usize, norm: usize, n: i32): void {
  const blocks = (n + BLOCK - 1) / BLOCK;
  const end = share(blocks, 1, thread + 1, threads);
  for (let block = share(blocks, 1, thread, threads); block < end; block++) {
    let even = f64x2.splat(0);
    let odd = f64x2.splat(0);
    const last = min(n, (block + 1) * BLOCK);
    for (let i = block * BLOCK; i < last; i += 4) {
      const v = loadPart(x + (usize(i) << 2), last - i);
      const low = f64x2.promote_low_f32x4(v);
      const high = f64x2.promote_low_f32x4(v128.shuffle<i64>(v, v, 1, 1));
      even = f64x2.add(even, f64x2.mul(low, low));
      odd = f64x2.add(odd, f64x2.mul(high, high));
    }
    const sum = f64x2.add(even, odd);
    store<f64>(partials + (usize(block) << 3), f64x2.extract_lane(sum, 0) + f64x2.extract_lane(sum, 1));
  }
  barrier(threads);
  if (thread != 0) return;
  let sum: f64 = 0;
  for (let block = 0; block < blocks; block++) sum += load<f64>(partials + (usize(block) << 3));
  store<f32>(norm, f32(Math.sqrt(sum)));
}

// The slots of engine/signatures.ts, HYPER, in bytes.
const LEARNING_RATE = 0;
const BETA1 = 4;
const BETA2 = 8;
const EPSILON = 12;
const WEIGHT_DECAY = 16;
const CORRECTION1 = 20;
const CORRECTION2 = 24;
const CLIP = 28;
const MOMENTUM = 32;
const ONE_MINUS_BETA1 = 36;
const ONE_MINUS_BETA2 = 40;

/** Clip: what the gradient is multiplied by, so that its norm is at most the limit. */
function clipFactor(hyper: usize, norm: usize): f32 {
  const clip = load<f32>(hyper, CLIP);
  const length = load<f32>(norm);
  return clip > 0 && length > clip ? clip / length : 1;
}

/**
 * Decay: `decay` in those of the elements i … i + 3 that are below `decayed`, `none` in the others.
 * @inline
 */
function decayOf(i: i32, decayed: i32, decay: v128, none: v128): v128 {
  return v128.bitselect(decay, none, i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(decayed - i)));
}

/** Moments: an exponential moving average of g. @inline */
function averaged(average: v128, g: v128, beta: v128, oneMinusBeta: v128): v128 {
  return f32x4.add(f32x4.mul(average, beta), f32x4.mul(g, oneMinusBeta));
}

export function adamw(
  thread: i32,
  threads: i32,
  x: usize,
  dX: usize,
  m: usize,
  v: usize,
  hyper: usize,
  norm: usize,
  n: i32,
  decayed: i32,
): void {
  const rate = load<f32>(hyper, LEARNING_RATE);
  const factor = f32x4.splat(clipFactor(hyper, norm));
  const beta1 = f32x4.splat(load<f32>(hyper, BETA1));
  const beta2 = f32x4.splat(load<f32>(hyper, BETA2));
  const rest1 = f32x4.splat(load<f32>(hyper, ONE_MINUS_BETA1));
  const rest2 = f32x4.splat(load<f32>(hyper, ONE_MINUS_BETA2));
  const epsilon = f32x4.splat(load<f32>(hyper, EPSILON));
  const step = f32x4.splat(rate / load<f32>(hyper, CORRECTION1));
  const correction2 = f32x4.splat(load<f32>(hyper, CORRECTION2));
  const keep: f32 = 1 - rate * load<f32>(hyper, WEIGHT_DECAY);
  const shrink = f32x4.splat(keep);
  const one = f32x4.splat(1);

  const end = share(n, 16, thread + 1, threads);
  let i = share(n, 16, thread, threads);
  for (; i + 8 <= end; i += 8) {
    if (i < decayed && i + 8 > decayed) break; // some of them decay, some do not
    const by = i < decayed ? shrink : one;
    const at = usize(i) << 2;
    const g0 = f32x4.mul(v128.load(dX + at), factor);
    const g1 = f32x4.mul(v128.load(dX + at, 16), factor);
    const m0 = averaged(v128.load(m + at), g0, beta1, rest1);
    const m1 = averaged(v128.load(m + at, 16), g1, beta1, rest1);
    const v0 = averaged(v128.load(v + at), f32x4.mul(g0, g0), beta2, rest2);
    const v1 = averaged(v128.load(v + at, 16), f32x4.mul(g1, g1), beta2, rest2);
    const root0 = f32x4.add(f32x4.sqrt(f32x4.div(v0, correction2)), epsilon);
    const root1 = f32x4.add(f32x4.sqrt(f32x4.div(v1, correction2)), epsilon);
    const x0 = f32x4.sub(f32x4.mul(v128.load(x + at), by), f32x4.div(f32x4.mul(m0, step), root0));
    const x1 = f32x4.sub(f32x4.mul(v128.load(x + at, 16), by), f32x4.div(f32x4.mul(m1, step), root1));
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

export function sgd(
  thread: i32,
  threads: i32,
  x: usize,
  dX: usize,
  m: usize,
  hyper: usize,
  norm: usize,
  n: i32,
  decayed: i32,
): void {
  const rate = f32x4.splat(load<f32>(hyper, LEARNING_RATE));
  const factor = f32x4.splat(clipFactor(hyper, norm));
  const momentum = f32x4.splat(load<f32>(hyper, MOMENTUM));
  const decay = f32x4.splat(load<f32>(hyper, WEIGHT_DECAY));
  const zero = f32x4.splat(0);

  const end = share(n, 16, thread + 1, threads);
  for (let i = share(n, 16, thread, threads); i < end; i += 4) {
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
