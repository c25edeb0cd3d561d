/** Attention of a few new queries to all keys so far, in a KV cache. */
import { AttentionCachedArguments } from '../generated/arguments';
import { rowExp, rowMax } from '../normalisation';
import { scratch } from '../scratch';
import { barrier } from '../threads';
import { loadPart, madd, squareRoot, storePart, sumFour, sumLanes } from '../vector';
import { startOf } from './strip';

/** New keys and values go into the cache; then each new query attends to all that it may see there. */
export function attentionCached(thread: i32, threads: i32, args: AttentionCachedArguments): void {
  const G = args.G;
  const H = args.H;
  const groupSize = H / G;
  for (let bg = thread; bg < args.B * G; bg += threads) append(args, bg / G, bg % G);
  if (G < H) barrier(threads); // else a thread reads only the heads that it has appended to itself
  const scores = scratch(thread);
  const root: f32 = 1 / squareRoot(f32(args.D));
  for (let bh = thread; bh < args.B * H; bh += threads)
    attend(args, bh / H, bh % H, bh / groupSize, root, scores);
}

/** The new rows of key/value head g of sequence b into its cache. */
function append(args: AttentionCachedArguments, b: i32, g: i32): void {
  const T = args.T;
  const bytes = usize(args.D) << 2;
  const ldk = usize(args.kStride) << 2;
  const ldv = usize(args.vStride) << 2;
  const first = usize(b) * T;
  const head = usize(g) * bytes;
  const cache = usize(b * args.G + g) * args.capacity * bytes;
  for (let t = first; t < first + T; t++) {
    const row = cache + usize(load<i32>(args.positions + (t << 2))) * bytes;
    memory.copy(args.keys + row, args.k + ldk * t + head, bytes);
    memory.copy(args.values + row, args.v + ldv * t + head, bytes);
  }
}

/**
 * The new queries of head h of sequence b.
 *
 * @param group the key/value head they read, counted over all sequences
 * @param root 1/√D
 * @param scores working memory
 */
function attend(args: AttentionCachedArguments, b: i32, h: i32, group: i32, root: f32, scores: usize): void {
  const T = args.T;
  const H = args.H;
  const D = args.D;
  const bytes = usize(D) << 2;
  const ldq = usize(args.qStride) << 2;
  const cache = usize(group) * args.capacity * bytes;
  const first = usize(b) * T;
  const head = usize(h) * bytes;
  for (let t = first; t < first + T; t++) {
    const q = args.q + ldq * t + head;
    const start = startOf(args.starts, i32(t));
    const keys = args.keys + cache + bytes * start;
    const n = load<i32>(args.positions + (t << 2)) + 1 - start;
    let j = 0;
    for (; j + 4 <= n; j += 4) v128.store(scores + (usize(j) << 2), dotFour(q, keys + bytes * j, D));
    for (; j < n; j++) store<f32>(scores + (usize(j) << 2), dot(q, keys + bytes * j, D));
    const sum = rowExp(scores, scores, n, rowMax(scores, n), root);
    weightedSum(scores, args.values + cache + bytes * start, args.out + bytes * H * t + head, n, D, 1 / sum);
  }
}

/** The products of a query with a key, and with four keys in a row: the same sum in the same order. */
function dot(query: usize, key: usize, D: i32): f32 {
  let sum = f32x4.splat(0);
  for (let d = 0; d < D; d += 4)
    sum = madd(loadPart(query + (d << 2), D - d), loadPart(key + (d << 2), D - d), sum);
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
