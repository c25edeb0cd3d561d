/** Attention of a few new queries to all keys so far, which are kept. */
import { AttentionCachedArguments } from '../generated/arguments';
import { rowExp, rowMax } from '../normalisation';
import { scratch } from '../scratch';
import { loadPart, madd, squareRoot, storePart, sumFour, sumLanes } from '../vector';

/** One head at a time: its new keys and values into the cache, then each new query against all it may see. */
export function attentionCached(thread: i32, threads: i32, args: AttentionCachedArguments): void {
  const T = args.T;
  const H = args.H;
  const D = args.D;
  const C = usize(H) * D;
  const ld = (C * 3) << 2;
  const bytes = usize(D) << 2;
  const root: f32 = 1 / squareRoot(f32(D));
  const keys = args.keys;
  const values = args.values;
  const scores = scratch(thread);
  for (let bh = thread; bh < args.B * H; bh += threads) {
    const q = args.qkv + usize(bh / H) * T * ld + ((usize(bh % H) * D) << 2);
    const cache = usize(bh) * args.capacity * bytes;
    const at = args.positions + ((usize(bh / H) * T) << 2);
    for (let t = 0; t < T; t++) {
      const row = cache + usize(load<i32>(at + (usize(t) << 2))) * bytes;
      memory.copy(keys + row, q + ld * t + (C << 2), bytes);
      memory.copy(values + row, q + ld * t + (C << 3), bytes);
    }
    for (let t = 0; t < T; t++) {
      const n = load<i32>(at + (usize(t) << 2)) + 1;
      let j = 0;
      for (; j + 4 <= n; j += 4) v128.store(scores + (usize(j) << 2), dotFour(q + ld * t, keys + cache + bytes * j, D));
      for (; j < n; j++) store<f32>(scores + (usize(j) << 2), dot(q + ld * t, keys + cache + bytes * j, D));
      const sum = rowExp(scores, scores, n, rowMax(scores, n), root);
      const o = args.out + (((usize(bh / H) * T + t) * C) << 2) + ((usize(bh % H) * D) << 2);
      weightedSum(scores, values + cache, o, n, D, 1 / sum);
    }
  }
}

/** The products of a query with a key, and with four keys in a row: the same sum in the same order. */
function dot(query: usize, key: usize, D: i32): f32 {
  let sum = f32x4.splat(0);
  for (let d = 0; d < D; d += 4) sum = madd(loadPart(query + (d << 2), D - d), loadPart(key + (d << 2), D - d), sum);
  return sumLanes(sum);
}

function dotFour(query: usize, key: usize, D: i32): v128 {
  const stride = usize(D) << 2;
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let s2 = f32x4.splat(0);
  let s3 = f32x4.splat(0);
  for (let d = 0; d < D; d += 4) {
    const p = key + (d << 2);
    const q = loadPart(query + (d << 2), D - d);
    s0 = madd(q, loadPart(p, D - d), s0);
    s1 = madd(q, loadPart(p + stride, D - d), s1);
    s2 = madd(q, loadPart(p + stride * 2, D - d), s2);
    s3 = madd(q, loadPart(p + stride * 3, D - d), s3);
  }
  return sumFour(s0, s1, s2, s3);
}

/** out[D] = factor·Σ_j weights[j]·rows[j,:]. */
function weightedSum(weights: usize, rows: usize, out: usize, n: i32, D: i32, factor: f32): void {
  const stride = usize(D) << 2;
  const by = f32x4.splat(factor);
  let d = 0;
  for (; d + 16 <= D; d += 16) {
    let s0 = f32x4.splat(0);
    let s1 = f32x4.splat(0);
    let s2 = f32x4.splat(0);
    let s3 = f32x4.splat(0);
    let p = rows + (d << 2);
    for (let j = 0; j < n; j++) {
      const weight = v128.load32_splat(weights + (usize(j) << 2));
      s0 = madd(weight, v128.load(p), s0);
      s1 = madd(weight, v128.load(p, 16), s1);
      s2 = madd(weight, v128.load(p, 32), s2);
      s3 = madd(weight, v128.load(p, 48), s3);
      p += stride;
    }
    const at = out + (d << 2);
    v128.store(at, f32x4.mul(s1, by), 16);
    v128.store(at, f32x4.mul(s0, by));
    v128.store(at, f32x4.mul(s3, by), 48);
    v128.store(at, f32x4.mul(s2, by), 32);
  }
  for (; d < D; d += 4) {
    let sum = f32x4.splat(0);
    let p = rows + (d << 2);
    for (let j = 0; j < n; j++) {
      sum = madd(v128.load32_splat(weights + (usize(j) << 2)), loadPart(p, D - d), sum);
      p += stride;
    }
    storePart(out + (d << 2), f32x4.mul(sum, by), D - d);
  }
}
