/** Attention with a KV cache: a few new queries attend to all keys so far. */
import { barrier } from '../barrier';
import { AttentionCachedArguments } from '../generated/arguments';
import { rowExp, rowMax } from '../rows';
import { allocate } from '../scratch';
import { thread, threads } from '../threads';
import { loadPart, madd, squareRoot, storePart, sumFour, sumLanes } from '../vector';
import { documentStart } from './strip';

/** Appends the new keys and values to the cache; then each new query attends to the keys of its document so far. */
export function attentionCached(args: AttentionCachedArguments): void {
  const G = args.G;
  const H = args.H;
  for (let group = thread; group < args.B * G; group += threads) append(args, group);
  if (G < H) barrier(); // otherwise a thread reads only heads that it has appended to itself
  const scores = allocate(u64(args.capacity + 3) << 2);
  for (let index = thread; index < args.B * H; index += threads) attend(args, index, scores);
}

/** Appends to the cache of key/value head `group`, counted over all sequences. */
function append(args: AttentionCachedArguments, group: i32): void {
  const T = args.T;
  const bytes = usize(args.D) << 2;
  const ldk = usize(args.kStride) << 2;
  const ldv = usize(args.vStride) << 2;
  const first = usize(group / args.G) * T;
  const head = usize(group % args.G) * bytes;
  const cache = usize(group) * args.capacity * bytes;
  for (let t = first; t < first + T; t++) {
    const row = cache + usize(load<i32>(args.positions + (t << 2))) * bytes;
    memory.copy(args.keys + row, args.k + ldk * t + head, bytes);
    memory.copy(args.values + row, args.v + ldv * t + head, bytes);
  }
}

/**
 * Attention of the new queries of query head `index`, counted over all sequences.
 *
 * @param scores memory for one score per position of the cache
 */
function attend(args: AttentionCachedArguments, index: i32, scores: usize): void {
  const T = args.T;
  const H = args.H;
  const D = args.D;
  const bytes = usize(D) << 2;
  const ldq = usize(args.qStride) << 2;
  const cache = usize(index / (H / args.G)) * args.capacity * bytes;
  const first = usize(index / H) * T;
  const head = usize(index % H) * bytes;
  const root: f32 = 1 / squareRoot(f32(D));
  for (let t = first; t < first + T; t++) {
    const q = args.q + ldq * t + head;
    const start = documentStart(args.starts, i32(t));
    const keys = args.keys + cache + bytes * start;
    const n = load<i32>(args.positions + (t << 2)) + 1 - start;
    let j = 0;
    for (; j + 4 <= n; j += 4) v128.store(scores + (usize(j) << 2), dotFour(q, keys + bytes * j, D));
    for (; j < n; j++) store<f32>(scores + (usize(j) << 2), dot(q, keys + bytes * j, D));
    const sum = rowExp(scores, scores, n, rowMax(scores, n), root);
    weightedSum(scores, args.values + cache + bytes * start, args.out + bytes * H * t + head, n, D, 1 / sum);
  }
}

/** Dot product of a query with a key; `dotFour` takes four consecutive keys and sums each in the same order. */
function dot(query: usize, key: usize, D: i32): f32 {
  let sum = f32x4.splat(0);
  let d = 0;
  for (; d + 4 <= D; d += 4) sum = madd(v128.load(query + (d << 2)), v128.load(key + (d << 2)), sum);
  if (d < D) sum = madd(loadPart(query + (d << 2), D - d), loadPart(key + (d << 2), D - d), sum);
  return sumLanes(sum);
}

function dotFour(query: usize, key: usize, D: i32): v128 {
  const stride = usize(D) << 2;
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  let s2 = f32x4.splat(0);
  let s3 = f32x4.splat(0);
  let d = 0;
  for (; d + 4 <= D; d += 4) {
    const p = key + (d << 2);
    const q = v128.load(query + (d << 2));
    s0 = madd(q, v128.load(p), s0);
    s1 = madd(q, v128.load(p + stride), s1);
    s2 = madd(q, v128.load(p + stride * 2), s2);
    s3 = madd(q, v128.load(p + stride * 3), s3);
  }
  if (d < D) {
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
