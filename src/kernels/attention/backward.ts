/**
 * The way back of causal multi-head attention, a head and a block of KEYS keys at a time. Of the block, two matrices
 * [queries][keys] exist: P = exp(S/√D − lse), and dS = P ⊙ (dP − Σ dOut·out)/√D, where S = q·kᵀ and dP = dOut·vᵀ are computed
 * in strips of NR keys. Then dV = Pᵀ·dOut, dK = dSᵀ·q, and dQ += dS·k; the micro-kernel reads the matrices as they are, down
 * the columns and along the rows. What lies beyond the diagonal is masked, or left out by whole tiles.
 *
 * Threads split the heads of all sequences. A head is left to one thread, as dQ is a sum over its blocks, in order.
 * Source: Dao et al. 2022, appendix B.2.
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
import { fetchHeads, fetchRows, headsNear } from './fetch';
import { keep, lanesFrom } from './strip';

/** Keys of a block: the more, the less often dQ is read and written. */
const KEYS = 64;

/** Bytes of a row of a block: an odd number of cache lines, so that a column does not fall upon itself in the cache. */
// @ts-ignore: decorator
@inline const ROW: usize = (KEYS << 2) + 64;

export function attentionBackward(thread: i32, threads: i32, args: AttentionBackwardArguments): void {
  const B = args.B;
  const T = args.T;
  const H = args.H;
  const D = args.D;
  const C = usize(H) * D;
  const ld = (C * 3) << 2;
  const ldo = C << 2;
  const near = headsNear(T, D, 8);
  for (let turn = 0; turn < threads; turn++) {
    const owner = ownerInTurn(turn, thread, threads);
    const from = share(B * H, 1, owner, threads);
    const end = share(B * H, 1, owner + 1, threads);
    for (let bh = from + take(owner); bh < end; bh = from + take(owner)) {
      if (near && (bh == from || bh % H % near == 0)) {
        const at = usize(bh / H) * T * ld + ((usize(bh % H) * D) << 2);
        const headOut = usize(bh / H) * T * ldo + ((usize(bh % H) * D) << 2);
        const heads = min(near, H - (bh % H));
        fetchHeads(args.qkv + at, T, H, D, heads);
        fetchHeads(args.dQkv + at, T, H, D, heads);
        fetchRows(args.out + headOut, ldo, T, usize(heads * D) << 2);
        fetchRows(args.dOut + headOut, ldo, T, usize(heads * D) << 2);
      }
      headBackward(thread, args, bh);
    }
  }
}

function headBackward(thread: i32, args: AttentionBackwardArguments, bh: i32): void {
  const T = args.T;
  const H = args.H;
  const D = args.D;
  const accumulate = args.accumulateDQkv;
  const C = usize(H) * D;
  const ld = (C * 3) << 2;
  const ldo = C << 2;
  const at = usize(bh / H) * T * ld + ((usize(bh % H) * D) << 2);
  const headOut = usize(bh / H) * T * ldo + ((usize(bh % H) * D) << 2);
  const q = args.qkv + at;
  const k = q + (C << 2);
  const v = k + (C << 2);
  const o = args.out + headOut;
  const dO = args.dOut + headOut;
  const dQ = args.dQkv + at;
  const dK = dQ + (C << 2);
  const dV = dK + (C << 2);
  const panel = panelStride(NR, T);
  const head = panel * panels(D, NR);

  const spare = scratch(thread);
  const masks = spare + 4096;
  const packedQ = masks + 64;
  const packedK = packedQ + head;
  const packedDO = packedK + head;
  const stripK = packedDO + head;
  const stripV = stripK + panelBytes(NR, D);
  const corrections = stripV + panelBytes(NR, D);
  const P = corrections + (usize((T + 3) & ~3) << 2);
  const dS = P + ROW * (T + MR);

  packColumns(packedQ, panel, q, ld, D, T, NR, 0, panels(D, NR));
  packColumns(packedK, panel, k, ld, D, T, NR, 0, panels(D, NR));
  packColumns(packedDO, panel, dO, ldo, D, T, NR, 0, panels(D, NR));
  for (let t = 0; t < T; t++) store<f32>(corrections + (usize(t) << 2), rowDot(dO + ldo * t, o + ldo * t, D));

  for (let block = 0; block < T; block += KEYS) {
    const keys = min(KEYS, T - block);
    for (let key = block; key < block + keys; key += NR) {
      const width = min(NR, T - key);
      const lane = usize(key - block) << 2;
      packRows(stripK, 0, k + ld * key, ld, width, D, NR, 0, 1);
      packRows(stripV, 0, v + ld * key, ld, width, D, NR, 0, 1);
      for (let t = key; t < T; t += MR) {
        const row = ROW * (t - block) + lane;
        const rows = min(MR, T - t);
        microKernelOfRows(D, q + ld * t, ld, rows, stripK, P + row, ROW, 0, 0);
        microKernelOfRows(D, dO + ldo * t, ldo, rows, stripV, dS + row, ROW, 0, 0);
      }
      // A tile of columns that begins in the strip before, or one of rows, reads up to MR − 1 queries before the strip's first.
      for (let t = max(block, key - MR + 1); t < key; t++) {
        clear(P + ROW * (t - block) + lane, NR << 2);
        clear(dS + ROW * (t - block) + lane, NR << 2);
      }
      const first = ROW * (key - block) + lane;
      stripBackward(P + first, dS + first, args, bh, key, corrections, masks);
    }

    for (let j = 0; j < keys; j += MR) {
      const key = block + j;
      const column = ROW * j + (j << 2); // queries before the tile's first key do not see it
      const b = panelBytes(NR, key);
      const rows = min(MR, keys - j);
      sumOverQueries(T - key, P + column, packedDO + b, panel, dV + ld * key, ld, accumulate, rows, D, spare);
      sumOverQueries(T - key, dS + column, packedQ + b, panel, dK + ld * key, ld, accumulate, rows, D, spare);
    }
    const add = block > 0 ? 1 : accumulate;
    for (let c = 0; c < D; c += NR) {
      const b = packedK + panel * (c / NR) + panelBytes(NR, block);
      const columns = min(NR, D - c);
      for (let t = block; t < T; t += MR) {
        const seen = min(keys, t + MR - block); // the tile's last query sees no more
        const to = dQ + ld * t + (usize(c) << 2);
        tileOfRows(seen, dS + ROW * (t - block), ROW, min(MR, T - t), b, to, ld, 0, add, columns, spare);
      }
    }
  }
}

/** Of a strip of NR keys, from query `key` on: S becomes P, with dropout, and dP becomes dS. */
function stripBackward(
  P: usize, dS: usize, args: AttentionBackwardArguments, bh: i32, key: i32, corrections: usize, masks: usize,
): void {
  const T = args.T;
  const logSums = args.lse + ((usize(bh) * T) << 2);
  const rng = args.rng;
  const site = args.site;
  const threshold = args.threshold;
  const scale = args.scale;
  const root: f32 = 1 / squareRoot(f32(args.D));
  const rowLength = u32((T + 3) & ~3);
  for (let t = key; t < T; t++) {
    const shift = load<f32>(logSums + (usize(t) << 2));
    const correction = load<f32>(corrections + (usize(t) << 2));
    const index = (u32(bh) * T + t) * rowLength + key;
    if (threshold) dropRow(dS, index, rng, site, threshold, scale, masks);
    probabilitiesAndScores(P, dS, root, shift, correction);
    if (t < key + NR - 1) maskRow(P, dS, t - key);
    if (threshold) dropRow(P, index, rng, site, threshold, scale, masks);
    P += ROW;
    dS += ROW;
  }
}

/** Zeros, without the call into the system that memory.fill is: for a row or a few. `bytes`: a multiple of 16. */
function clear(p: usize, bytes: usize): void {
  const end = p + bytes;
  for (; p < end; p += 16) v128.store(p, f32x4.splat(0));
}

/** The gradients, D numbers each, of `rows` keys or values: Σ over n queries of a column of a block times a row that is packed at b. */
function sumOverQueries(
  n: i32, block: usize, b: usize, panel: usize, to: usize, ld: usize, accumulate: i32, rows: i32, D: i32, spare: usize,
): void {
  for (let c = 0; c < D; c += NR)
    tile(n, block, ROW, b + panel * (c / NR), to + (usize(c) << 2), ld, 0, accumulate, rows, min(NR, D - c), spare);
}

/** A row of it: P = exp(S/√D − lse), and dS = P ⊙ (dP − correction)/√D. */
// @ts-ignore: decorator
@inline
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

/** Zeros behind the diagonal: in lanes beyond the query's own key. */
function maskRow(p: usize, dS: usize, last: i32): void {
  const zero = f32x4.splat(0);
  for (let l = 0; l < NR; l += 4) {
    const at = l << 2;
    v128.store(p + at, lanesFrom(last + 1, l, zero, v128.load(p + at)));
    v128.store(dS + at, lanesFrom(last + 1, l, zero, v128.load(dS + at)));
  }
}

/** Dropout on a row of a strip of keys. @param index of its first element; a multiple of 4 */
function dropRow(row: usize, index: u32, rng: usize, site: i32, threshold: i32, scale: f32, masks: usize): void {
  masks16(masks, rng, index >>> 2, site, threshold);
  const factor = f32x4.splat(scale);
  for (let l = 0; l < NR; l += 4) keep(row + (l << 2), v128.load(masks + (l << 2)), factor);
}
