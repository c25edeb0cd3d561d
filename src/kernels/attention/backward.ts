/**
 * Causal attention, backward pass, for one query head and a block of KEYS keys at a time. Of the block, two matrices
 * [queries][keys] exist: P = exp(S/√D − lse), and dS = P ⊙ (dP − Σ dOut·out)/√D, where S = q·kᵀ and dP = dOut·vᵀ are computed
 * in strips of NR keys. Then dV = Pᵀ·dOut, dK = dSᵀ·q, and dQ += dS·k; the micro-kernel reads the matrices in place, down
 * the columns and along the rows. Keys after a query, and those before its document, are masked, or skipped by whole tiles.
 *
 * Threads split the key/value heads of all sequences. One thread computes all query heads of a group, as dK and dV are sums
 * over them, and dQ is a sum over blocks, in order.
 * Sources: Dao et al. 2022, appendix B.2; Ainslie et al. 2023 for grouped-query attention.
 */
import { nextChunk } from '../barrier';
import { exp4 } from '../exp-log';
import { AttentionBackwardArguments } from '../generated/arguments';
import { MR, NR } from '../generated/constants';
import { microKernelOfRows } from '../generated/micro-kernels';
import { createOutput, Output } from '../gemm/output';
import { packColumns, packRows, panelBytes, panels, panelStride } from '../gemm/pack';
import { prepareTiles, tile, tileOfRows } from '../gemm/tile';
import { dropoutMasks, MASK_BYTES } from '../philox';
import { rowDot } from '../rows';
import { allocate, allocatedBytes, freeScratch } from '../scratch';
import { ownerInTurn, sliceEnd, sliceStart, threads } from '../threads';
import { madd, squareRoot } from '../vector';
import { prefetchedGroups, prefetchRows } from './prefetch';
import { applyMask, documentStart, lanesFrom } from './strip';

/** Keys per block: larger blocks read and write dQ less often. */
const KEYS = 64;

/** Bytes of a row of a block: an odd number of cache lines, so that the rows of a column map to different cache sets. */
const ROW: usize = (KEYS << 2) + 64;

/** The query head that a thread works on, and its working memory. */
@unmanaged
class Head {
  args: AttentionBackwardArguments;
  /** 1/√D. */
  root: f32;
  /** Index of the head, counted over all sequences. */
  index: i32;
  /** First head of its group, which packs the keys for the others. */
  isFirst: bool;
  /** Addresses of the head's part of the sequence's first row, and of the sequence's document starts. */
  q: usize;
  k: usize;
  v: usize;
  out: usize;
  dOut: usize;
  dQ: usize;
  dK: usize;
  dV: usize;
  starts: usize;

  packedQ: usize;
  packedK: usize;
  packedDOut: usize;
  stripK: usize;
  stripV: usize;
  /** Σ dOut·out of each query. */
  corrections: usize;
  /** [queries][KEYS]: S, then P; dP, then dS. */
  P: usize;
  dS: usize;
  masks: usize;
  toBlock: Output;
  toGradient: Output;
}

function createHead(T: i32, D: i32): Head {
  prepareTiles();
  const head = changetype<Head>(allocate(offsetof<Head>()));
  head.root = 1 / squareRoot(f32(D));
  head.toBlock = createOutput(ROW);
  head.toGradient = createOutput(0);
  head.masks = allocate(2 * MASK_BYTES);
  const packed = u64(panelStride(NR, T)) * panels(D, NR);
  head.packedQ = allocate(packed);
  head.packedK = allocate(packed);
  head.packedDOut = allocate(packed);
  head.stripK = allocate(panelBytes(NR, D));
  head.stripV = allocate(panelBytes(NR, D));
  head.corrections = allocate(u64(T) << 2);
  head.P = allocate(u64(ROW) * (T + MR)); // the last tile may extend beyond the queries
  head.dS = allocate(u64(ROW) * (T + MR));
  return head;
}

/** Scratch memory that a thread needs for attention over T positions with heads of D channels, forward or backward. */
export function attentionScratch(T: i32, D: i32): f64 {
  freeScratch();
  createHead(T, D);
  return f64(allocatedBytes());
}

export function attentionBackward(args: AttentionBackwardArguments): void {
  const head = createHead(args.T, args.D);
  head.args = args;
  const groups = args.B * args.G;
  const groupSize = args.H / args.G;
  const prefetched = prefetchedGroups(args.T, args.D, 4 * groupSize + 4);
  for (let turn = 0; turn < threads; turn++) {
    const owner = ownerInTurn(turn);
    const from = sliceStart(groups, 1, owner);
    const end = sliceEnd(groups, 1, owner);
    for (let group = from + nextChunk(owner); group < end; group = from + nextChunk(owner)) {
      if (prefetched && (group == from || (group % args.G) % prefetched == 0))
        prefetchGroups(args, group, prefetched);
      for (let i = 0; i < groupSize; i++) {
        head.index = group * groupSize + i;
        head.isFirst = i == 0;
        headBackward(head);
      }
    }
  }
}

/** Prefetches the operands and results of a group and those after it in its sequence, `count` groups at most. */
function prefetchGroups(args: AttentionBackwardArguments, group: i32, count: i32): void {
  const T = args.T;
  const ldq = usize(args.qStride) << 2;
  const ldk = usize(args.kStride) << 2;
  const ldv = usize(args.vStride) << 2;
  const groupSize = usize(args.H / args.G);
  const g = usize(group % args.G);
  const row = usize(group / args.G) * T;
  const width = usize(args.D) << 2;
  const shared = min(usize(count), usize(args.G) - g) * width;
  const heads = shared * groupSize;
  const q = row * ldq + g * groupSize * width;
  const k = row * ldk + g * width;
  const v = row * ldv + g * width;
  if (args.v + v + shared == args.q + q + ldq) {
    prefetchRows(args.q + q, ldq, T, ldq); // all heads of packed rows: one pass is faster
    prefetchRows(args.dQ + q, ldq, T, ldq);
  } else {
    prefetchRows(args.q + q, ldq, T, heads);
    prefetchRows(args.k + k, ldk, T, shared);
    prefetchRows(args.v + v, ldv, T, shared);
    prefetchRows(args.dQ + q, ldq, T, heads);
    prefetchRows(args.dK + k, ldk, T, shared);
    prefetchRows(args.dV + v, ldv, T, shared);
  }
  const ldo = usize(args.H) * width;
  const o = row * ldo + g * groupSize * width;
  prefetchRows(args.out + o, ldo, T, heads);
  prefetchRows(args.dOut + o, ldo, T, heads);
}

function headBackward(head: Head): void {
  const T = head.args.T;
  locate(head);
  pack(head);
  let readers = 0;
  for (let block = 0; block < T; block += KEYS) {
    const keys = min(KEYS, T - block);
    const previous = readers;
    readers = readersOf(head, block + keys - 1, previous);
    for (let key = block, end = previous; key < block + keys; key += NR) {
      end = readersOf(head, min(key + NR, T) - 1, end);
      computeStrip(head, block, key, end, readers);
    }
    addKeyGradients(head, block, keys);
    addQueryGradients(head, block, keys, readers);
  }
}

function locate(head: Head): void {
  const args = head.args;
  const H = args.H;
  const bytes = usize(args.D) << 2;
  const h = head.index % H;
  const group = h / (H / args.G);
  const row = usize(head.index / H) * args.T; // the sequence's first
  const q = ((row * args.qStride) << 2) + bytes * h;
  const k = ((row * args.kStride) << 2) + bytes * group;
  const v = ((row * args.vStride) << 2) + bytes * group;
  const out = bytes * (row * H + h);
  head.q = args.q + q;
  head.k = args.k + k;
  head.v = args.v + v;
  head.out = args.out + out;
  head.dOut = args.dOut + out;
  head.dQ = args.dQ + q;
  head.dK = args.dK + k;
  head.dV = args.dV + v;
  head.starts = args.starts ? args.starts + (row << 2) : 0;
}

/** Packs the operands and computes the corrections. With documents, it also clears dQ, unless the instruction adds to it. */
function pack(head: Head): void {
  const args = head.args;
  const T = args.T;
  const D = args.D;
  const ldq = usize(args.qStride) << 2;
  const ldo = (usize(args.H) * D) << 2;
  packColumns(head.packedQ, head.q, ldq, D, T, NR);
  if (head.isFirst) packColumns(head.packedK, head.k, usize(args.kStride) << 2, D, T, NR);
  packColumns(head.packedDOut, head.dOut, ldo, D, T, NR);
  for (let t = 0; t < T; t++)
    store<f32>(head.corrections + (usize(t) << 2), rowDot(head.dOut + ldo * t, head.out + ldo * t, D));
  // The first block that a query attends to depends on its document, so all blocks add to dQ.
  if (head.starts && !args.accumulateDQ)
    for (let t = 0; t < T; t++) memory.fill(head.dQ + ldq * t, 0, usize(D) << 2);
}

/** End of the queries from `from` on that attend to `key` or an earlier key; those after it are in later documents. */
function readersOf(head: Head, key: i32, from: i32): i32 {
  const T = head.args.T;
  if (!head.starts) return T;
  while (from < T && documentStart(head.starts, from) <= key) from++;
  return from;
}

/**
 * P and dS of a strip of NR keys from `key` on, in the block of keys from `block` on.
 *
 * @param end of the queries that attend to the strip
 * @param readers end of the queries that attend to the block
 */
function computeStrip(head: Head, block: i32, key: i32, end: i32, readers: i32): void {
  const args = head.args;
  const T = args.T;
  const D = args.D;
  const width = min(NR, T - key);
  const ldq = usize(args.qStride) << 2;
  const ldk = usize(args.kStride) << 2;
  const ldv = usize(args.vStride) << 2;
  const ldo = (usize(args.H) * D) << 2;
  const q = head.q;
  const dOut = head.dOut;
  const stripK = head.stripK;
  const stripV = head.stripV;
  const out = head.toBlock;
  const lane = usize(key - block) << 2;
  const P = head.P + lane;
  const dS = head.dS + lane;
  packRows(stripK, head.k + ldk * key, ldk, width, D, NR);
  packRows(stripV, head.v + ldv * key, ldv, width, D, NR);
  out.rows = MR;
  for (let t = key; t < end; t += MR) {
    const at = ROW * (t - block);
    if (t + MR > T) out.rows = T - t;
    microKernelOfRows(D, q + ldq * t, ldq, stripK, P + at, out);
    microKernelOfRows(D, dOut + ldo * t, ldo, stripV, dS + at, out);
  }
  // Tiles of rows or columns that extend beyond the strip also read these queries, which do not attend to its keys.
  clearRows(P, dS, max(block, key - MR + 1) - block, key - block);
  scoreGradients(head, P + ROW * (key - block), dS + ROW * (key - block), key, end);
  clearRows(P, dS, end - block, readers - block);
}

/** For queries `key` … `end` − 1 of a strip of keys: S becomes P, with dropout, and dP becomes dS. */
function scoreGradients(head: Head, P: usize, dS: usize, key: i32, end: i32): void {
  const args = head.args;
  const T = args.T;
  const threshold = args.threshold;
  const starts = head.starts;
  const corrections = head.corrections;
  const logSums = args.lse + ((usize(head.index) * T) << 2);
  const root = head.root;
  const rowLength = u32((T + 3) & ~3);
  for (let t = key; t < end; t++) {
    const lse = load<f32>(logSums + (usize(t) << 2));
    const correction = load<f32>(corrections + (usize(t) << 2));
    const masks = head.masks + MASK_BYTES * ((t - key) & 1);
    if (threshold && masks === head.masks) {
      const index = (u32(head.index) * T + t) * rowLength + key;
      const next = index + rowLength;
      dropoutMasks(masks, args.rng, index >>> 2, next >>> 2, args.site, threshold);
    }
    if (threshold) dropRow(dS, masks, args.scale);
    probabilitiesAndScores(P, dS, root, lse, correction);
    if (t < key + NR - 1) maskLater(P, dS, t - key);
    if (documentStart(starts, t) > key) maskEarlier(P, dS, documentStart(starts, t) - key);
    if (threshold) dropRow(P, masks, args.scale);
    P += ROW;
    dS += ROW;
  }
}

/** Clears rows `from` … `end` − 1 of a strip. memory.fill would be a system call. */
function clearRows(P: usize, dS: usize, from: i32, end: i32): void {
  const zero = f32x4.splat(0);
  for (let row = from; row < end; row++)
    for (let l = 0; l < NR << 2; l += 16) {
      v128.store(P + ROW * row + l, zero);
      v128.store(dS + ROW * row + l, zero);
    }
}

/** One query: P = exp(S/√D − lse), and dS = P ⊙ (dP − correction)/√D. @inline */
function probabilitiesAndScores(p: usize, dS: usize, root: f32, lse: f32, correction: f32): void {
  const factor = f32x4.splat(root);
  const shift = f32x4.splat(-lse);
  const minus = f32x4.splat(correction);
  for (let l = 0; l < NR; l += 8) {
    const at = l << 2;
    const p0 = exp4(madd(v128.load(p + at), factor, shift));
    const p1 = exp4(madd(v128.load(p + at, 16), factor, shift));
    v128.store(p + at, p1, 16);
    v128.store(p + at, p0);
    v128.store(dS + at, f32x4.mul(f32x4.mul(p1, f32x4.sub(v128.load(dS + at, 16), minus)), factor), 16);
    v128.store(dS + at, f32x4.mul(f32x4.mul(p0, f32x4.sub(v128.load(dS + at), minus)), factor));
  }
}

/** Clears the lanes of keys after `last`, the query's own. */
function maskLater(p: usize, dS: usize, last: i32): void {
  const zero = f32x4.splat(0);
  for (let l = 0; l < NR; l += 4) {
    const at = l << 2;
    v128.store(p + at, lanesFrom(last + 1, l, zero, v128.load(p + at)));
    v128.store(dS + at, lanesFrom(last + 1, l, zero, v128.load(dS + at)));
  }
}

/** Clears the lanes of keys before `first`, where the query's document starts. */
function maskEarlier(p: usize, dS: usize, first: i32): void {
  const zero = f32x4.splat(0);
  for (let l = 0; l < NR; l += 4) {
    const at = l << 2;
    v128.store(p + at, lanesFrom(first, l, v128.load(p + at), zero));
    v128.store(dS + at, lanesFrom(first, l, v128.load(dS + at), zero));
  }
}

/** Dropout on a row of a strip of keys. @inline */
function dropRow(row: usize, masks: usize, scale: f32): void {
  const factor = f32x4.splat(scale);
  for (let l = 0; l < NR << 2; l += 16) applyMask(row + l, v128.load(masks + l), factor);
}

/** dV (+)= Pᵀ·dOut and dK (+)= dSᵀ·q for the keys of a block. Only the first head of a group may overwrite them. */
function addKeyGradients(head: Head, block: i32, keys: i32): void {
  const args = head.args;
  const ldk = usize(args.kStride) << 2;
  const ldv = usize(args.vStride) << 2;
  const out = head.toGradient;
  let readers = block;
  for (let j = 0; j < keys; j += MR) {
    const key = block + j;
    const column = ROW * j + (j << 2); // queries before the tile's first key do not attend to it
    const rows = panelBytes(NR, key);
    out.rows = min(MR, keys - j);
    readers = readersOf(head, key + out.rows - 1, readers);
    out.stride = ldv;
    out.accumulate = head.isFirst ? args.accumulateDV : 1;
    sumOverQueries(head, readers - key, head.P + column, head.packedDOut + rows, head.dV + ldv * key);
    out.stride = ldk;
    out.accumulate = head.isFirst ? args.accumulateDK : 1;
    sumOverQueries(head, readers - key, head.dS + column, head.packedQ + rows, head.dK + ldk * key);
  }
}

/** Gradients of up to MR keys or values: the sum over n queries of a column of the block times a packed row. */
function sumOverQueries(head: Head, n: i32, column: usize, packed: usize, gradient: usize): void {
  const D = head.args.D;
  const panel = panelStride(NR, head.args.T);
  const out = head.toGradient;
  for (let c = 0; c < D; c += NR) {
    out.columns = min(NR, D - c);
    tile(n, column, ROW, packed + panel * (c / NR), gradient + (usize(c) << 2), out);
  }
}

/** dQ (+)= dS·k for the queries that attend to a block of keys, of which `readers` is the end. */
function addQueryGradients(head: Head, block: i32, keys: i32, readers: i32): void {
  const args = head.args;
  const D = args.D;
  const panel = panelStride(NR, args.T);
  const starts = head.starts;
  const dS = head.dS;
  const dQ = head.dQ;
  const ldq = usize(args.qStride) << 2;
  const out = head.toGradient;
  out.stride = ldq;
  out.accumulate = block > 0 || starts ? 1 : args.accumulateDQ;
  for (let c = 0; c < D; c += NR) {
    out.columns = min(NR, D - c);
    for (let t = block; t < readers; t += MR) {
      const from = max(0, documentStart(starts, t) - block); // the tile's first query attends to no key before it
      const to = min(keys, t + MR - block); // the tile's last query attends to no key after it
      out.rows = min(MR, readers - t);
      tileOfRows(
        to - from,
        dS + ROW * (t - block) + (from << 2),
        ROW,
        head.packedK + panel * (c / NR) + panelBytes(NR, block + from),
        dQ + ldq * t + (usize(c) << 2),
        out,
      );
    }
  }
}
