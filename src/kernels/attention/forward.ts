/**
 * Causal attention, forward pass, for one query head and NR queries at a time: of the T×T matrix of scores, only a strip
 * [keys][NR queries] exists at any moment. Sᵀ = k·qᵀ, P = softmax(S/√D) down the columns, out = P·v, for which the micro-kernel
 * reads the strip in place; the log-sum-exp of each query is saved for the backward pass. Keys after a query, and those before
 * its document, are masked, or skipped by whole tiles. Skipping changes no sum: a document's result is the same in any row.
 *
 * Threads split the query heads of all sequences; if fewer heads than threads are left, several threads share a head's strips.
 * Sources: Vaswani et al. 2017, equation 1; Dao et al. 2022, section 3.1; Ainslie et al. 2023 for grouped-query attention.
 */
import { nextChunk } from '../barrier';
import { exp4, log4 } from '../exp-log';
import { AttentionArguments } from '../generated/arguments';
import { MR, NR } from '../generated/constants';
import { microKernelOfRows } from '../generated/micro-kernels';
import { createOutput, Output } from '../gemm/output';
import { packColumns, packRows, panelBytes, panels, panelStride } from '../gemm/pack';
import { prepareTiles, tile } from '../gemm/tile';
import { dropoutMasks, MASK_BYTES } from '../philox';
import { rowScale } from '../rows';
import { allocate } from '../scratch';
import { ownerInTurn, sliceEnd, sliceStart, thread, threads } from '../threads';
import { loadPart, madd, putPart, squareRoot } from '../vector';
import { prefetchedGroups, prefetchRows } from './prefetch';
import { applyMask, documentStart, lanesFrom } from './strip';

/** Bytes of a row of a strip. */
const ROW: usize = NR << 2;

/** The query head that a thread works on, and its working memory. */
@unmanaged
class Head {
  args: AttentionArguments;
  /** 1/√D. */
  root: f32;
  /** Index of the head, counted over all sequences. */
  index: i32;
  /** Addresses of the head's part of the sequence's first row, and of the sequence's document starts. */
  q: usize;
  k: usize;
  v: usize;
  out: usize;
  starts: usize;

  /** Key/value head whose values are packed, counted over all sequences. */
  packedGroup: i32;
  packedV: usize;
  packedQ: usize;
  /** [keys][NR queries]: scores, then probabilities before they are divided by their sum. */
  strip: usize;
  /** 1/Σ of each query's probabilities, then its log-sum-exp. */
  statistics: usize;
  masks: usize;
  toStrip: Output;
  toOut: Output;
}

function createHead(args: AttentionArguments): Head {
  const T = args.T;
  const D = args.D;
  prepareTiles();
  const head = changetype<Head>(allocate(offsetof<Head>()));
  head.args = args;
  head.root = 1 / squareRoot(f32(D));
  head.toStrip = createOutput(ROW);
  head.toOut = createOutput((usize(args.H) * D) << 2);
  head.statistics = allocate(ROW * 2);
  head.masks = allocate(NR * MASK_BYTES);
  head.packedGroup = -1;
  head.packedV = allocate(u64(panelStride(NR, T)) * panels(D, NR));
  head.packedQ = allocate(panelBytes(NR, D));
  head.strip = allocate(u64(ROW) * (T + MR)); // the last tile may extend beyond the keys
  return head;
}

export function attention(args: AttentionArguments): void {
  const head = createHead(args);
  const heads = args.B * args.H;
  const whole = heads - (heads % threads);
  for (let turn = 0; turn < threads; turn++) {
    const owner = ownerInTurn(turn);
    const from = sliceStart(whole, 1, owner);
    const end = sliceEnd(whole, 1, owner);
    for (let index = from + nextChunk(owner); index < end; index = from + nextChunk(owner)) {
      head.index = index;
      headForward(head, 0, 1);
    }
  }
  if (whole == heads) return;
  const team = threads / (heads - whole);
  head.index = whole + thread / team;
  if (head.index < heads) headForward(head, thread % team, team);
}

/** Strips `first`, `first` + `step`, … of a query head. */
function headForward(head: Head, first: i32, step: i32): void {
  const T = head.args.T;
  locate(head);
  prefetch(head);
  packValues(head);
  for (let i = first * NR; i < T; i += step * NR) {
    const keys = min(T, i + NR);
    const start = documentStart(head.starts, i);
    computeScores(head, i, start, keys);
    softmaxColumns(head, i, start, keys);
    if (head.args.threshold) dropColumns(head, i, start, keys);
    multiplyValues(head, i, keys);
  }
}

function locate(head: Head): void {
  const args = head.args;
  const H = args.H;
  const bytes = usize(args.D) << 2;
  const h = head.index % H;
  const group = h / (H / args.G);
  const row = usize(head.index / H) * args.T; // the sequence's first
  head.q = args.q + ((row * args.qStride) << 2) + bytes * h;
  head.k = args.k + ((row * args.kStride) << 2) + bytes * group;
  head.v = args.v + ((row * args.vStride) << 2) + bytes * group;
  head.out = args.out + bytes * (row * H + h);
  head.starts = args.starts ? args.starts + (row << 2) : 0;
}

/** If the head is the first of a batch that fits in L2, prefetches it and the following heads of its sequence. */
function prefetch(head: Head): void {
  const args = head.args;
  const T = args.T;
  const H = args.H;
  const ldq = usize(args.qStride) << 2;
  const groupSize = H / args.G;
  const h = head.index % H;
  const groups = prefetchedGroups(T, args.D, 2 * groupSize + 2);
  if (!groups || h % (groups * groupSize) != 0) return;
  const heads = min(groups * groupSize, H - h);
  const bytes = usize(heads * args.D) << 2;
  const sharedBytes = usize((heads / groupSize) * args.D) << 2;
  if (head.v + sharedBytes == head.q + ldq)
    prefetchRows(head.q, ldq, T, ldq); // all heads of packed rows: one pass is faster
  else {
    prefetchRows(head.q, ldq, T, bytes);
    prefetchRows(head.k, usize(args.kStride) << 2, T, sharedBytes);
    prefetchRows(head.v, usize(args.vStride) << 2, T, sharedBytes);
  }
  prefetchRows(head.out, (usize(H) * args.D) << 2, T, bytes);
}

/** Packs the values of the head's group, unless they are packed already. */
function packValues(head: Head): void {
  const args = head.args;
  const group = head.index / (args.H / args.G);
  if (group == head.packedGroup) return;
  packColumns(head.packedV, head.v, usize(args.vStride) << 2, args.D, args.T, NR);
  head.packedGroup = group;
}

/** Scores of queries i … i + NR − 1 with keys `start` … `keys` − 1. */
function computeScores(head: Head, i: i32, start: i32, keys: i32): void {
  const args = head.args;
  const T = args.T;
  const D = args.D;
  const ldq = usize(args.qStride) << 2;
  const ldk = usize(args.kStride) << 2;
  const k = head.k;
  const packedQ = head.packedQ;
  const strip = head.strip;
  const out = head.toStrip;
  packRows(packedQ, head.q + ldq * i, ldq, keys - i, D, NR);
  out.rows = MR;
  for (let j = start; j < keys; j += MR) {
    if (j + MR > T) out.rows = T - j;
    microKernelOfRows(D, k + ldk * j, ldk, packedQ, strip + ROW * j, out);
  }
  if (head.starts) maskEarlier(strip, head.starts + (usize(i) << 2), keys - i);
}

/** Masks keys before the queries' documents, whose starts are at `starts`. */
function maskEarlier(strip: usize, starts: usize, queries: i32): void {
  const none = f32x4.splat(-f32.MAX_VALUE);
  const end = load<i32>(starts + (usize(queries - 1) << 2));
  for (let key = load<i32>(starts); key < end; key++)
    for (let l = 0; l < queries; l += 4) {
      const at = strip + ROW * key + (l << 2);
      const isBefore = i32x4.gt_s(loadPart(starts + (l << 2), queries - l), i32x4.splat(key));
      v128.store(at, v128.bitselect(none, v128.load(at), isBefore));
    }
}

/**
 * exp((s − max)/√D) down each column of a strip, for keys `start` … `keys` − 1; only queries at or after a key's position
 * attend to it. Leaves 1/Σ of each column in the statistics, and saves max/√D + ln Σ.
 */
function softmaxColumns(head: Head, i: i32, start: i32, keys: i32): void {
  const strip = head.strip;
  const rows = head.statistics;
  const none = f32x4.splat(-f32.MAX_VALUE);
  for (let r = 1; r < keys - i; r++) {
    const row = strip + ROW * (i + r);
    for (let l = 0; l < NR; l += 4)
      v128.store(row + (l << 2), lanesFrom(r, l, v128.load(row + (l << 2)), none));
  }
  const begin = strip + ROW * start;
  const end = strip + ROW * keys;
  const factor = f32x4.splat(head.root);
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
      const e0 = exp4(f32x4.mul(f32x4.sub(v128.load(p), max0), factor));
      const e1 = exp4(f32x4.mul(f32x4.sub(v128.load(p, 16), max1), factor));
      v128.store(p, e1, 16);
      v128.store(p, e0);
      sum0 = f32x4.add(sum0, e0);
      sum1 = f32x4.add(sum1, e1);
    }
    v128.store(rows + l, f32x4.div(f32x4.splat(1), sum1), 16);
    v128.store(rows + l, f32x4.div(f32x4.splat(1), sum0));
    v128.store(rows + ROW + l, madd(max1, factor, log4(sum1)), 16);
    v128.store(rows + ROW + l, madd(max0, factor, log4(sum0)));
  }
  const logSums = head.args.lse + ((usize(head.index) * head.args.T + i) << 2);
  for (let r = 0; r < keys - i; r += 4)
    putPart(logSums + (r << 2), v128.load(rows + ROW + (r << 2)), keys - i - r, 0);
}

/** Dropout. Random words run along the keys of a query (engine/signatures.ts), so the masks are transposed. */
function dropColumns(head: Head, i: i32, start: i32, keys: i32): void {
  const args = head.args;
  const T = args.T;
  const strip = head.strip;
  const masks = head.masks;
  const rowLength = u32((T + 3) & ~3);
  const factor = f32x4.splat(args.scale);
  for (let key = start & ~3; key < keys; key += 16) {
    for (let r = 0; r < NR; r += 2) {
      const index = (u32(head.index) * T + i + r) * rowLength + key;
      const next = index + rowLength;
      dropoutMasks(masks + MASK_BYTES * r, args.rng, index >>> 2, next >>> 2, args.site, args.threshold);
    }
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
        applyMask(p, v128.shuffle<i64>(a, b, 0, 2), factor);
        applyMask(p + ROW, v128.shuffle<i64>(a, b, 1, 3), factor);
        applyMask(p + ROW * 2, v128.shuffle<i64>(c, d, 0, 2), factor);
        applyMask(p + ROW * 3, v128.shuffle<i64>(c, d, 1, 3), factor);
      }
  }
}

/** out = P·v for queries i … i + NR − 1. */
function multiplyValues(head: Head, i: i32, keys: i32): void {
  const D = head.args.D;
  const panelV = panelStride(NR, head.args.T);
  const queries = keys - i;
  const starts = head.starts;
  const strip = head.strip;
  const out = head.toOut;
  const ldo = out.stride;
  const o = head.out + ldo * i;
  for (let c = 0; c < D; c += NR) {
    const panel = head.packedV + panelV * (c / NR);
    out.columns = min(NR, D - c);
    for (let r = 0; r < queries; r += MR) {
      const from = documentStart(starts, i + r); // the tile's first query attends to no key before it
      const to = min(keys, i + r + MR); // the tile's last query attends to no key after it
      out.rows = min(MR, queries - r);
      tile(
        to - from,
        strip + ROW * from + (r << 2),
        ROW,
        panel + panelBytes(NR, from),
        o + ldo * r + (usize(c) << 2),
        out,
      );
    }
  }
  for (let r = 0; r < queries; r++) {
    const at = o + ldo * r;
    rowScale(at, at, D, load<f32>(head.statistics + (r << 2)));
  }
}
