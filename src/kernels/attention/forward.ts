/**
 * Causal attention, a query head and NR queries at a time: of the T×T matrix of scores, only a strip [keys][NR queries] exists
 * at any moment. Sᵀ = k·qᵀ, P = softmax(S/√D) down the columns, out = P·v, for which the micro-kernel reads the strip in place;
 * the log-sum-exp of each query is kept for the backward pass. Keys after a query, and those before its document, are masked,
 * or skipped by whole tiles. Skipping adds the same numbers in the same order: a document has the bits it has in a row of its own.
 *
 * Threads split the query heads of all sequences; where fewer heads than threads are left, several threads share a head's strips.
 * Sources: Vaswani et al. 2017, equation 1; Dao et al. 2022, section 3.1; Ainslie et al. 2023 for grouped queries.
 */
import { AttentionArguments } from '../generated/arguments';
import { microKernelOfRows } from '../generated/micro-kernels';
import { tile } from '../gemm/tile';
import { packColumns, packRows, panelBytes, panels, panelStride } from '../gemm/pack';
import { rowScale } from '../normalisation';
import { masks16 } from '../random';
import { scratch } from '../scratch';
import { ownerInTurn, share, take } from '../threads';
import { exp4, loadPart, log4, madd, putPart, squareRoot } from '../vector';
import { fetchRows, groupsNear } from './fetch';
import { keep, lanesFrom, startOf } from './strip';

/** Bytes of a row of a strip. */
const ROW: usize = NR << 2;

export function attention(thread: i32, threads: i32, args: AttentionArguments): void {
  const heads = args.B * args.H;
  const groupSize = args.H / args.G;
  const whole = heads - (heads % threads);
  let packed = -1; // the key/value head whose values this thread has packed
  for (let turn = 0; turn < threads; turn++) {
    const owner = ownerInTurn(turn, thread, threads);
    const from = share(whole, 1, owner, threads);
    const end = share(whole, 1, owner + 1, threads);
    for (let bh = from + take(owner); bh < end; bh = from + take(owner)) {
      const group = bh / groupSize;
      headForward(thread, args, bh, 0, 1, group == packed);
      packed = group;
    }
  }
  if (whole == heads) return;
  const team = threads / (heads - whole);
  const bh = whole + thread / team;
  if (bh < heads) headForward(thread, args, bh, thread % team, team, false);
}

/** Strips `first`, `first` + `step`, … of query head bh, counted over all sequences. */
function headForward(
  thread: i32,
  args: AttentionArguments,
  bh: i32,
  first: i32,
  step: i32,
  isPacked: bool,
): void {
  const T = args.T;
  const H = args.H;
  const D = args.D;
  const threshold = args.threshold;
  const ldq = usize(args.qStride) << 2;
  const ldk = usize(args.kStride) << 2;
  const ldv = usize(args.vStride) << 2;
  const ldo = (usize(H) * D) << 2;
  const root: f32 = 1 / squareRoot(f32(D));
  const groupSize = H / args.G;
  const h = bh % H;
  const row = usize(bh / H) * T; // the sequence's first
  const shared = (usize(h / groupSize) * D) << 2;
  const q = args.q + row * ldq + ((usize(h) * D) << 2);
  const k = args.k + row * ldk + shared;
  const v = args.v + row * ldv + shared;
  const o = args.out + row * ldo + ((usize(h) * D) << 2);
  const starts = args.starts ? args.starts + (row << 2) : 0;

  const spare = scratch(thread);
  const rows = spare + 4096; // working memory of a strip: statistics, masks
  const panelV = panelStride(NR, T);
  const packedV = rows + 8192;
  const packedQ = packedV + panelV * panels(D, NR);
  const strip = packedQ + panelBytes(NR, D);

  const near = groupsNear(T, D, 2 * groupSize + 2);
  if (near && h % (near * groupSize) == 0) {
    const heads = min(near * groupSize, H - h);
    const bytes = usize(heads * D) << 2;
    const sharedBytes = usize((heads / groupSize) * D) << 2;
    if (v + sharedBytes == q + ldq)
      fetchRows(q, ldq, T, ldq); // packed rows, all of their heads: faster in one pass
    else {
      fetchRows(q, ldq, T, bytes);
      fetchRows(k, ldk, T, sharedBytes);
      fetchRows(v, ldv, T, sharedBytes);
    }
    fetchRows(o, ldo, T, bytes);
  }
  if (!isPacked) packColumns(packedV, panelV, v, ldv, D, T, NR, 0, panels(D, NR));
  for (let i = first * NR; i < T; i += step * NR) {
    const queries = min(NR, T - i);
    const keys = i + queries;
    const start = startOf(starts, i);
    packRows(packedQ, 0, q + ldq * i, ldq, queries, D, NR, 0, 1);
    for (let j = start; j < keys; j += MR)
      microKernelOfRows(D, k + ldk * j, ldk, min(MR, T - j), packedQ, strip + ROW * j, ROW, 0, 0);
    if (starts) maskEarlier(strip, starts + (usize(i) << 2), queries);
    softmaxColumns(strip, i, start, keys, root, rows);
    const logSums = args.lse + ((usize(bh) * T + i) << 2);
    for (let r = 0; r < queries; r += 4)
      putPart(logSums + (r << 2), v128.load(rows + ROW + (r << 2)), queries - r, 0);
    if (threshold) dropColumns(strip, args, bh, i, start, keys, rows + 4096);
    for (let c = 0; c < D; c += NR)
      for (let r = 0; r < queries; r += MR) {
        const to = o + ldo * (i + r) + (usize(c) << 2);
        const from = startOf(starts, i + r); // the tile's first query sees nothing before
        const seen = min(keys, i + r + MR) - from; // its last query sees nothing after
        const b = packedV + panelV * (c / NR) + panelBytes(NR, from);
        tile(
          seen,
          strip + ROW * from + (r << 2),
          ROW,
          b,
          to,
          ldo,
          0,
          0,
          min(MR, queries - r),
          min(NR, D - c),
          spare,
        );
      }
    for (let r = 0; r < queries; r++) {
      const at = o + ldo * (i + r);
      rowScale(at, at, D, load<f32>(rows + (r << 2)));
    }
  }
}

/** Scores of a strip's queries, whose starts are at `starts`, with keys before their documents: of no weight. */
function maskEarlier(strip: usize, starts: usize, queries: i32): void {
  const none = f32x4.splat(-f32.MAX_VALUE);
  const end = load<i32>(starts + (usize(queries - 1) << 2));
  for (let key = load<i32>(starts); key < end; key++)
    for (let l = 0; l < queries; l += 4) {
      const at = strip + ROW * key + (l << 2);
      const isEarlier = i32x4.gt_s(loadPart(starts + (l << 2), queries - l), i32x4.splat(key));
      v128.store(at, v128.bitselect(none, v128.load(at), isEarlier));
    }
}

/**
 * exp((s − max)·factor) down each column of a strip of queries i … i + NR − 1, for keys `start` … `keys` − 1; a key counts for
 * the queries from its own position on. Leaves 1/Σ of each column at `rows`, and max·factor + ln Σ behind it.
 */
function softmaxColumns(strip: usize, i: i32, start: i32, keys: i32, factor: f32, rows: usize): void {
  const none = f32x4.splat(-f32.MAX_VALUE);
  for (let r = 1; r < keys - i; r++) {
    const row = strip + ROW * (i + r);
    for (let l = 0; l < NR; l += 4)
      v128.store(row + (l << 2), lanesFrom(r, l, v128.load(row + (l << 2)), none));
  }
  const begin = strip + ROW * start;
  const end = strip + ROW * keys;
  const by = f32x4.splat(factor);
  for (let l: usize = 0; l < ROW; l += 32) {
    let max0 = none;
    let max1 = none;
    for (let p = begin + l; p < end; p += ROW) {
      max0 = f32x4.pmax(v128.load(p), max0); // a NaN stays
      max1 = f32x4.pmax(v128.load(p, 16), max1);
    }
    let sum0 = f32x4.splat(0);
    let sum1 = f32x4.splat(0);
    for (let p = begin + l; p < end; p += ROW) {
      const e0 = exp4(f32x4.mul(f32x4.sub(v128.load(p), max0), by));
      const e1 = exp4(f32x4.mul(f32x4.sub(v128.load(p, 16), max1), by));
      v128.store(p, e1, 16);
      v128.store(p, e0);
      sum0 = f32x4.add(sum0, e0);
      sum1 = f32x4.add(sum1, e1);
    }
    v128.store(rows + l, f32x4.div(f32x4.splat(1), sum1), 16);
    v128.store(rows + l, f32x4.div(f32x4.splat(1), sum0));
    v128.store(rows + ROW + l, madd(max1, by, log4(sum1)), 16);
    v128.store(rows + ROW + l, madd(max0, by, log4(sum0)));
  }
}

/** Dropout on a strip of queries: random words run along the keys of one query (engine/signatures.ts), so masks are transposed. */
function dropColumns(
  strip: usize,
  args: AttentionArguments,
  bh: i32,
  i: i32,
  start: i32,
  keys: i32,
  masks: usize,
): void {
  const T = args.T;
  const rng = args.rng;
  const site = args.site;
  const threshold = args.threshold;
  const rowLength = u32((T + 3) & ~3);
  const factor = f32x4.splat(args.scale);
  for (let key = start & ~3; key < keys; key += 16) {
    for (let r = 0; r < NR; r++)
      masks16(masks + (r << 6), rng, ((u32(bh) * T + i + r) * rowLength + key) >>> 2, site, threshold);
    for (let j = 0; j < min(16, keys - key); j += 4)
      for (let r = 0; r < NR; r += 4) {
        const m = masks + (r << 6) + (j << 2);
        const m0 = v128.load(m);
        const m1 = v128.load(m, 64);
        const m2 = v128.load(m, 128);
        const m3 = v128.load(m, 192);
        const a = v128.shuffle<i32>(m0, m1, 0, 4, 1, 5);
        const b = v128.shuffle<i32>(m2, m3, 0, 4, 1, 5);
        const c = v128.shuffle<i32>(m0, m1, 2, 6, 3, 7);
        const d = v128.shuffle<i32>(m2, m3, 2, 6, 3, 7);
        const p = strip + ROW * (key + j) + (r << 2);
        keep(p, v128.shuffle<i64>(a, b, 0, 2), factor);
        keep(p + ROW, v128.shuffle<i64>(a, b, 1, 3), factor);
        keep(p + ROW * 2, v128.shuffle<i64>(c, d, 0, 2), factor);
        keep(p + ROW * 3, v128.shuffle<i64>(c, d, 1, 3), factor);
      }
  }
}
