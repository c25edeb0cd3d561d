/**
 * Backward pass of causal attention, a query head and a block of KEYS keys at a time. Of the block, two matrices
 * [queries][keys] exist: P = exp(S/√D − lse), and dS = P ⊙ (dP − Σ dOut·out)/√D, where S = q·kᵀ and dP = dOut·vᵀ are computed
 * in strips of NR keys. Then dV = Pᵀ·dOut, dK = dSᵀ·q, and dQ += dS·k; the micro-kernel reads the matrices in place, down
 * the columns and along the rows. Keys after a query, and those before its document, are masked, or skipped by whole tiles.
 *
 * Threads split the key/value heads of all sequences. A group of query heads is left to one thread, as dK and dV are sums over
 * its heads, and dQ is a sum over blocks, in order.
 * Sources: Dao et al. 2022, appendix B.2; Ainslie et al. 2023 for grouped queries.
 */
import { AttentionBackwardArguments } from '../generated/arguments';
import { microKernelOfRows } from '../generated/micro-kernels';
import { tile, tileOfRows } from '../gemm/tile';
import { packColumns, packRows, panelBytes, panels, panelStride } from '../gemm/pack';
import { rowDot } from '../normalisation';
import { masks16 } from '../random';
import { scratch } from '../scratch';
import { ownerInTurn, share, take } from '../threads';
import { exp4, madd, squareRoot } from '../vector';
import { fetchRows, groupsNear } from './fetch';
import { keep, lanesFrom, startOf } from './strip';

/** Keys of a block: the more, the less often dQ is read and written. */
const KEYS = 64;

/** Bytes of a row of a block: an odd number of cache lines, so that a column does not fall upon itself in the cache. */
const ROW: usize = (KEYS << 2) + 64;

export function attentionBackward(thread: i32, threads: i32, args: AttentionBackwardArguments): void {
  const groups = args.B * args.G;
  const groupSize = args.H / args.G;
  const near = groupsNear(args.T, args.D, 4 * groupSize + 4);
  for (let turn = 0; turn < threads; turn++) {
    const owner = ownerInTurn(turn, thread, threads);
    const from = share(groups, 1, owner, threads);
    const end = share(groups, 1, owner + 1, threads);
    for (let group = from + take(owner); group < end; group = from + take(owner)) {
      if (near && (group == from || (group % args.G) % near == 0)) fetchGroups(args, group, near);
      for (let i = 0; i < groupSize; i++) headBackward(thread, args, group * groupSize + i, i == 0);
    }
  }
}

/** Fetches what the backward pass reads and writes of a group and those after it in its sequence, `near` at most. */
function fetchGroups(args: AttentionBackwardArguments, group: i32, near: i32): void {
  const T = args.T;
  const ldq = usize(args.qStride) << 2;
  const ldk = usize(args.kStride) << 2;
  const ldv = usize(args.vStride) << 2;
  const groupSize = usize(args.H / args.G);
  const g = usize(group % args.G);
  const row = usize(group / args.G) * T;
  const width = usize(args.D) << 2;
  const shared = min(usize(near), usize(args.G) - g) * width;
  const heads = shared * groupSize;
  const q = row * ldq + g * groupSize * width;
  const k = row * ldk + g * width;
  const v = row * ldv + g * width;
  if (args.v + v + shared == args.q + q + ldq) {
    fetchRows(args.q + q, ldq, T, ldq); // packed rows, all of their heads: faster in one pass
    fetchRows(args.dQ + q, ldq, T, ldq);
  } else {
    fetchRows(args.q + q, ldq, T, heads);
    fetchRows(args.k + k, ldk, T, shared);
    fetchRows(args.v + v, ldv, T, shared);
    fetchRows(args.dQ + q, ldq, T, heads);
    fetchRows(args.dK + k, ldk, T, shared);
    fetchRows(args.dV + v, ldv, T, shared);
  }
  const ldo = usize(args.H) * width;
  const o = row * ldo + g * groupSize * width;
  fetchRows(args.out + o, ldo, T, heads);
  fetchRows(args.dOut + o, ldo, T, heads);
}

/**
 * Query head bh, counted over all sequences. The first head of its group packs the keys for all of them, and adds to dK and dV
 * only if the instruction says so; the others always do.
 */
function headBackward(thread: i32, args: AttentionBackwardArguments, bh: i32, isFirst: bool): void {
  const T = args.T;
  const H = args.H;
  const D = args.D;
  const ldq = usize(args.qStride) << 2;
  const ldk = usize(args.kStride) << 2;
  const ldv = usize(args.vStride) << 2;
  const ldo = (usize(H) * D) << 2;
  const accumulateDK = isFirst ? args.accumulateDK : 1;
  const accumulateDV = isFirst ? args.accumulateDV : 1;
  const h = bh % H;
  const row = usize(bh / H) * T; // the sequence's first
  const head = (usize(h) * D) << 2;
  const shared = (usize(h / (H / args.G)) * D) << 2;
  const q = args.q + row * ldq + head;
  const k = args.k + row * ldk + shared;
  const v = args.v + row * ldv + shared;
  const o = args.out + row * ldo + head;
  const dO = args.dOut + row * ldo + head;
  const dQ = args.dQ + row * ldq + head;
  const dK = args.dK + row * ldk + shared;
  const dV = args.dV + row * ldv + shared;
  const starts = args.starts ? args.starts + (row << 2) : 0;
  const panel = panelStride(NR, T);
  const packed = panel * panels(D, NR);

  const spare = scratch(thread);
  const masks = spare + 4096;
  const packedQ = masks + 64;
  const packedK = packedQ + packed;
  const packedDO = packedK + packed;
  const stripK = packedDO + packed;
  const stripV = stripK + panelBytes(NR, D);
  const corrections = stripV + panelBytes(NR, D);
  const P = corrections + (usize((T + 3) & ~3) << 2);
  const dS = P + ROW * (T + MR);

  packColumns(packedQ, panel, q, ldq, D, T, NR, 0, panels(D, NR));
  if (isFirst) packColumns(packedK, panel, k, ldk, D, T, NR, 0, panels(D, NR));
  packColumns(packedDO, panel, dO, ldo, D, T, NR, 0, panels(D, NR));
  for (let t = 0; t < T; t++) store<f32>(corrections + (usize(t) << 2), rowDot(dO + ldo * t, o + ldo * t, D));
  // The first block that a query sees depends on its document: then all of them add.
  if (starts && !args.accumulateDQ) for (let t = 0; t < T; t++) memory.fill(dQ + ldq * t, 0, usize(D) << 2);
  const accumulateDQ = starts ? 1 : args.accumulateDQ;

  let readers = 0;
  for (let block = 0; block < T; block += KEYS) {
    const keys = min(KEYS, T - block);
    let stripReaders = readers;
    readers = readersOf(starts, block + keys - 1, readers, T);
    for (let key = block; key < block + keys; key += NR) {
      const width = min(NR, T - key);
      const lane = usize(key - block) << 2;
      stripReaders = readersOf(starts, key + width - 1, stripReaders, T);
      packRows(stripK, 0, k + ldk * key, ldk, width, D, NR, 0, 1);
      packRows(stripV, 0, v + ldv * key, ldv, width, D, NR, 0, 1);
      for (let t = key; t < stripReaders; t += MR) {
        const at = ROW * (t - block) + lane;
        const rows = min(MR, T - t);
        microKernelOfRows(D, q + ldq * t, ldq, rows, stripK, P + at, ROW, 0, 0);
        microKernelOfRows(D, dO + ldo * t, ldo, rows, stripV, dS + at, ROW, 0, 0);
      }
      // Tiles of rows or columns that reach over the strip read these queries as well, which do not see its keys.
      clearRows(P + lane, dS + lane, max(block, key - MR + 1) - block, key - block);
      const first = ROW * (key - block) + lane;
      stripBackward(P + first, dS + first, args, bh, key, stripReaders, corrections, masks);
      clearRows(P + lane, dS + lane, stripReaders - block, readers - block);
    }

    let tileReaders = block;
    for (let j = 0; j < keys; j += MR) {
      const key = block + j;
      const column = ROW * j + (j << 2); // queries before the tile's first key do not see it
      const b = panelBytes(NR, key);
      const rows = min(MR, keys - j);
      tileReaders = readersOf(starts, key + rows - 1, tileReaders, T);
      const n = tileReaders - key;
      sumOverQueries(n, P + column, packedDO + b, panel, dV + ldv * key, ldv, accumulateDV, rows, D, spare);
      sumOverQueries(n, dS + column, packedQ + b, panel, dK + ldk * key, ldk, accumulateDK, rows, D, spare);
    }
    const add = block > 0 ? 1 : accumulateDQ;
    for (let c = 0; c < D; c += NR) {
      const columns = min(NR, D - c);
      for (let t = block; t < readers; t += MR) {
        const from = max(0, startOf(starts, t) - block); // the tile's first query sees nothing before
        const seen = min(keys, t + MR - block) - from; // its last query sees nothing after
        const b = packedK + panel * (c / NR) + panelBytes(NR, block + from);
        const to = dQ + ldq * t + (usize(c) << 2);
        tileOfRows(
          seen,
          dS + ROW * (t - block) + (from << 2),
          ROW,
          min(MR, readers - t),
          b,
          to,
          ldq,
          0,
          add,
          columns,
          spare,
        );
      }
    }
  }
}

/** End of the queries that see `key` or one before it, if `from` is not beyond it: those after it belong to later documents. */
function readersOf(starts: usize, key: i32, from: i32, T: i32): i32 {
  if (!starts) return T;
  while (from < T && load<i32>(starts + (usize(from) << 2)) <= key) from++;
  return from;
}

/** Of a strip of NR keys and the queries `key` … `end` − 1: S becomes P, with dropout, and dP becomes dS. */
function stripBackward(
  P: usize,
  dS: usize,
  args: AttentionBackwardArguments,
  bh: i32,
  key: i32,
  end: i32,
  corrections: usize,
  masks: usize,
): void {
  const T = args.T;
  const logSums = args.lse + ((usize(bh) * T) << 2);
  const rng = args.rng;
  const site = args.site;
  const threshold = args.threshold;
  const scale = args.scale;
  const root: f32 = 1 / squareRoot(f32(args.D));
  const rowLength = u32((T + 3) & ~3);
  const starts = args.starts ? args.starts + ((usize(bh / args.H) * T) << 2) : 0;
  for (let t = key; t < end; t++) {
    const shift = load<f32>(logSums + (usize(t) << 2));
    const correction = load<f32>(corrections + (usize(t) << 2));
    const index = (u32(bh) * T + t) * rowLength + key;
    if (threshold) dropRow(dS, index, rng, site, threshold, scale, masks);
    probabilitiesAndScores(P, dS, root, shift, correction);
    if (t < key + NR - 1) maskLater(P, dS, t - key);
    if (startOf(starts, t) > key) maskEarlier(P, dS, startOf(starts, t) - key);
    if (threshold) dropRow(P, index, rng, site, threshold, scale, masks);
    P += ROW;
    dS += ROW;
  }
}

/** Zeros in rows `from` … `end` − 1 of a strip, without the system call that memory.fill is. */
function clearRows(P: usize, dS: usize, from: i32, end: i32): void {
  const zero = f32x4.splat(0);
  for (let row = from; row < end; row++)
    for (let l = 0; l < NR << 2; l += 16) {
      v128.store(P + ROW * row + l, zero);
      v128.store(dS + ROW * row + l, zero);
    }
}

/** The gradients, D numbers each, of `rows` keys or values: Σ over n queries of a column of a block times a row that is packed at b. */
function sumOverQueries(
  n: i32,
  block: usize,
  b: usize,
  panel: usize,
  to: usize,
  ld: usize,
  accumulate: i32,
  rows: i32,
  D: i32,
  spare: usize,
): void {
  for (let c = 0; c < D; c += NR)
    tile(
      n,
      block,
      ROW,
      b + panel * (c / NR),
      to + (usize(c) << 2),
      ld,
      0,
      accumulate,
      rows,
      min(NR, D - c),
      spare,
    );
}

/** A row of it: P = exp(S/√D − lse), and dS = P ⊙ (dP − correction)/√D. @inline */
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

/** Zeros in the lanes of keys after `last`, the query's own. */
function maskLater(p: usize, dS: usize, last: i32): void {
  const zero = f32x4.splat(0);
  for (let l = 0; l < NR; l += 4) {
    const at = l << 2;
    v128.store(p + at, lanesFrom(last + 1, l, zero, v128.load(p + at)));
    v128.store(dS + at, lanesFrom(last + 1, l, zero, v128.load(dS + at)));
  }
}

/** Zeros in the lanes of keys before `first`, where the query's document begins. */
function maskEarlier(p: usize, dS: usize, first: i32): void {
  const zero = f32x4.splat(0);
  for (let l = 0; l < NR; l += 4) {
    const at = l << 2;
    v128.store(p + at, lanesFrom(first, l, v128.load(p + at), zero));
    v128.store(dS + at, lanesFrom(first, l, v128.load(dS + at), zero));
  }
}

/** Dropout on a row of a strip of keys. @param index of its first element; a multiple of 4 */
function dropRow(
  row: usize,
  index: u32,
  rng: usize,
  site: i32,
  threshold: i32,
  scale: f32,
  masks: usize,
): void {
  masks16(masks, rng, index >>> 2, site, threshold);
  const factor = f32x4.splat(scale);
  for (let l = 0; l < NR; l += 4) keep(row + (l << 2), v128.load(masks + (l << 2)), factor);
}
