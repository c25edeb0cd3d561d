/**
 * Causal multi-head attention, forward and backward, one head and one panel of NR queries or keys at a time: of the T×T
 * matrix, only such a strip exists at any moment. All matrix products are the micro-kernel's (gemm/), and each strip is
 * computed the way round in which the next product can read it as it is:
 *
 *   forward   strips of queries, [keys][NR queries]: Sᵀ = k·qᵀ, P = softmax(S/√D) down the columns, outᵀ = vᵀ·Pᵀ; the
 *             log-sum-exp of each query is kept
 *   backward  strips of keys, [queries][NR keys]: P = exp(S/√D − lse), dVᵀ = dOutᵀ·P, dP = dOut·vᵀ,
 *             dS = P ⊙ (dP − Σ dOut·out)/√D, dKᵀ = qᵀ·dS; and for a few strips together, dQ += dS·k
 *
 * Where a strip crosses the diagonal, what lies beyond it is masked; whole tiles beyond it are never computed.
 *
 * Threads split the heads of all sequences; where fewer heads than threads are left, forward several threads share a head's
 * strips. Backward leaves a head to one thread, as dQ is a sum over its strips, in order.
 * Sources: Vaswani et al. 2017, equation 1; Dao et al. 2022, section 3.1 and appendix B.2.
 */
import { macroKernel } from './gemm/macro-kernel';
import { clear, packColumns, packRows, panelBytes, panels, panelStride } from './gemm/pack';
import { rowDot, rowExp, rowMax } from './normalisation';
import { masks16 } from './random';
import { scratch } from './scratch';
import { ownerInTurn, share, take } from './threads';
import { exp4, loadPart, log4, madd, putPart, squareRoot, storePart, sumFour, sumLanes } from './vector';

/** Bytes of a row of a strip. */
// @ts-ignore: decorator
@inline const ROW: usize = NR << 2;

export function attention(
  thread: i32,
  threads: i32,
  qkv: usize,
  rng: usize,
  out: usize,
  lse: usize,
  B: i32,
  T: i32,
  H: i32,
  D: i32,
  site: i32,
  threshold: i32,
  scale: f32,
): void {
  const heads = B * H;
  const whole = heads - (heads % threads);
  for (let turn = 0; turn < threads; turn++) {
    const owner = ownerInTurn(turn, thread, threads);
    const from = share(whole, 1, owner, threads);
    const end = share(whole, 1, owner + 1, threads);
    for (let bh = from + take(owner); bh < end; bh = from + take(owner))
      headForward(thread, bh, 0, 1, qkv, rng, out, lse, T, H, D, site, threshold, scale);
  }
  if (whole == heads) return;
  const team = threads / (heads - whole);
  const bh = whole + thread / team;
  if (bh < heads) headForward(thread, bh, thread % team, team, qkv, rng, out, lse, T, H, D, site, threshold, scale);
}

/** Strips `first`, `first` + `step`, … of a head. */
function headForward(
  thread: i32,
  bh: i32,
  first: i32,
  step: i32,
  qkv: usize,
  rng: usize,
  out: usize,
  lse: usize,
  T: i32,
  H: i32,
  D: i32,
  site: i32,
  threshold: i32,
  scale: f32,
): void {
  const C = usize(H) * D;
  const ld = (C * 3) << 2;
  const root: f32 = 1 / squareRoot(f32(D));
  const q = qkv + usize(bh / H) * T * ld + ((usize(bh % H) * D) << 2);
  const k = q + (C << 2);
  const v = k + (C << 2);
  const o = out + ((usize(bh / H) * T * C) << 2) + ((usize(bh % H) * D) << 2);

  const tile = scratch(thread);
  const rows = tile + 4096; // working memory of a strip: statistics, masks
  const packedK = rows + 8192;
  const rowPanel = panelStride(MR, D);
  const columnPanel = panelStride(MR, T);
  const packedV = packedK + rowPanel * panels(T, MR);
  const packedQ = packedV + columnPanel * panels(D, MR);
  const outT = packedQ + panelBytes(NR, D);
  const strip = outT + ROW * panels(D, MR) * MR;

  packRows(packedK, rowPanel, k, ld, T, D, MR, 0, panels(T, MR));
  packColumns(packedV, columnPanel, v, ld, D, T, MR, 0, panels(D, MR));
  for (let i = first * NR; i < T; i += step * NR) {
    const queries = min(NR, T - i);
    const keys = i + queries;
    packRows(packedQ, 0, q + ld * i, ld, queries, D, NR, 0, 1);
    macroKernel(packedK, rowPanel, packedQ, 0, strip, ROW, 0, 0, panels(keys, MR) * MR, NR, D, tile);
    softmaxColumns(strip, i, keys, root, rows);
    const logSums = lse + ((usize(bh) * T + i) << 2);
    for (let r = 0; r < queries; r += 4) putPart(logSums + (r << 2), v128.load(rows + ROW + (r << 2)), queries - r, 0);
    if (threshold) dropColumns(strip, i, keys, bh, T, rng, site, threshold, scale, rows + 4096);
    macroKernel(packedV, columnPanel, strip, 0, outT, ROW, 0, 0, panels(D, MR) * MR, NR, keys, tile);
    storeTransposed(outT, o + (C << 2) * i, C << 2, D, queries, rows, 0);
  }
}

/** Lanes of row r of a strip that lie on its side of the diagonal: those from `from` on keep their value. */
// @ts-ignore: decorator
@inline
function lanesFrom(from: i32, lane: i32, v: v128, fill: v128): v128 {
  return v128.bitselect(v, fill, i32x4.ge_s(i32x4.add(i32x4(0, 1, 2, 3), i32x4.splat(lane)), i32x4.splat(from)));
}

/**
 * exp((s − max)·factor) down each column of a strip of queries i … i + NR − 1; a key counts for the queries from its own
 * position on. Leaves 1/Σ of each column at `rows`, and max·factor + ln Σ behind it.
 */
function softmaxColumns(strip: usize, i: i32, keys: i32, factor: f32, rows: usize): void {
  const none = f32x4.splat(-f32.MAX_VALUE);
  for (let r = 1; r < keys - i; r++) {
    const row = strip + ROW * (i + r);
    for (let l = 0; l < NR; l += 4) v128.store(row + (l << 2), lanesFrom(r, l, v128.load(row + (l << 2)), none));
  }
  const end = strip + ROW * keys;
  const by = f32x4.splat(factor);
  for (let l: usize = 0; l < ROW; l += 32) {
    let max0 = none;
    let max1 = none;
    for (let p = strip + l; p < end; p += ROW) {
      max0 = f32x4.pmax(v128.load(p), max0); // a NaN stays
      max1 = f32x4.pmax(v128.load(p, 16), max1);
    }
    let sum0 = f32x4.splat(0);
    let sum1 = f32x4.splat(0);
    for (let p = strip + l; p < end; p += ROW) {
      const e0 = exp4(f32x4.mul(f32x4.sub(v128.load(p), max0), by));
      const e1 = exp4(f32x4.mul(f32x4.sub(v128.load(p, 16), max1), by));
      v128.store(p, e0);
      v128.store(p, e1, 16);
      sum0 = f32x4.add(sum0, e0);
      sum1 = f32x4.add(sum1, e1);
    }
    v128.store(rows + l, f32x4.div(f32x4.splat(1), sum0));
    v128.store(rows + l, f32x4.div(f32x4.splat(1), sum1), 16);
    v128.store(rows + ROW + l, madd(max0, by, log4(sum0)));
    v128.store(rows + ROW + l, madd(max1, by, log4(sum1)), 16);
  }
}

/** Dropout on a strip of queries: random words run along the keys of one query (engine/signatures.ts), so masks are turned. */
function dropColumns(
  strip: usize,
  i: i32,
  keys: i32,
  bh: i32,
  T: i32,
  rng: usize,
  site: i32,
  threshold: i32,
  scale: f32,
  masks: usize,
): void {
  const rowLength = u32((T + 3) & ~3);
  const factor = f32x4.splat(scale);
  for (let key = 0; key < keys; key += 16) {
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

// @ts-ignore: decorator
@inline
function keep(p: usize, mask: v128, factor: v128): void {
  v128.store(p, v128.and(f32x4.mul(v128.load(p), factor), mask));
}

/**
 * dst[c, r] (+)= src[r, c]·factors[c] for a strip src of n rows and `columns` used columns.
 *
 * @param ld length of a row of dst in bytes
 * @param factors NR numbers, or 0
 */
function storeTransposed(
  src: usize,
  dst: usize,
  ld: usize,
  n: i32,
  columns: i32,
  factors: usize,
  accumulate: i32,
): void {
  const one = f32x4.splat(1);
  for (let c = 0; c < columns; c += 4) {
    const factor = factors ? v128.load(factors + (c << 2)) : one;
    const count = columns - c;
    let s = src + (c << 2);
    for (let r = 0; r < n; r += 4) {
      const r0 = f32x4.mul(v128.load(s), factor);
      const r1 = f32x4.mul(v128.load(s + ROW), factor);
      const r2 = f32x4.mul(v128.load(s + ROW * 2), factor);
      const r3 = f32x4.mul(v128.load(s + ROW * 3), factor);
      s += ROW * 4;
      const a = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5);
      const b = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5);
      const e = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7);
      const d = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7);
      const p = dst + ld * c + (r << 2);
      putPart(p, v128.shuffle<i64>(a, b, 0, 2), n - r, accumulate);
      if (count > 1) putPart(p + ld, v128.shuffle<i64>(a, b, 1, 3), n - r, accumulate);
      if (count > 2) putPart(p + ld * 2, v128.shuffle<i64>(e, d, 0, 2), n - r, accumulate);
      if (count > 3) putPart(p + ld * 3, v128.shuffle<i64>(e, d, 1, 3), n - r, accumulate);
    }
  }
}

/** Keys whose share in dQ is added at once: the more, the less often dQ is read and written. */
const KEYS = 64;

export function attentionBackward(
  thread: i32,
  threads: i32,
  qkv: usize,
  rng: usize,
  out: usize,
  lse: usize,
  dOut: usize,
  dQkv: usize,
  accumulate: i32,
  B: i32,
  T: i32,
  H: i32,
  D: i32,
  site: i32,
  threshold: i32,
  scale: f32,
): void {
  const C = usize(H) * D;
  const ld = (C * 3) << 2;
  const ldo = C << 2;
  const root: f32 = 1 / squareRoot(f32(D));
  const rowLength = u32((T + 3) & ~3);
  const rowPanel = panelStride(MR, D);
  const columnPanel = panelStride(MR, T);
  const rowPanels = panels(T, MR);
  const columnPanels = panels(D, MR);
  const strip = ROW * (rowPanels + 1) * MR;

  const tile = scratch(thread);
  const masks = tile + 4096;
  const packedQ = masks + 64;
  const packedDO = packedQ + rowPanel * rowPanels;
  const packedQT = packedDO + rowPanel * rowPanels;
  const packedDOT = packedQT + columnPanel * columnPanels;
  const packedK = packedDOT + columnPanel * columnPanels;
  const packedV = packedK + panelBytes(NR, D);
  const keyColumns = packedV + panelBytes(NR, D);
  const gradient = keyColumns + panelStride(NR, KEYS) * panels(D, NR); // of a strip's keys or values, transposed
  const corrections = gradient + ROW * columnPanels * MR;
  const p = corrections + (usize((T + 3) & ~3) << 2);
  const dP = p + strip;
  const dS = dP + strip; // KEYS / NR strips
  const packedDS = dS + strip * (KEYS / NR);

  for (let turn = 0; turn < threads; turn++) {
    const owner = ownerInTurn(turn, thread, threads);
    const from = share(B * H, 1, owner, threads);
    const end = share(B * H, 1, owner + 1, threads);
    for (let bh = from + take(owner); bh < end; bh = from + take(owner)) {
      const at = usize(bh / H) * T * ld + ((usize(bh % H) * D) << 2);
      const q = qkv + at;
      const k = q + (C << 2);
      const v = k + (C << 2);
      const dQ = dQkv + at;
      const dK = dQ + (C << 2);
      const dV = dK + (C << 2);
      const o = usize(bh / H) * T * ldo + ((usize(bh % H) * D) << 2);
      const logSums = lse + ((usize(bh) * T) << 2);
      packRows(packedQ, rowPanel, q, ld, T, D, MR, 0, rowPanels);
      packRows(packedDO, rowPanel, dOut + o, ldo, T, D, MR, 0, rowPanels);
      packColumns(packedQT, columnPanel, q, ld, D, T, MR, 0, columnPanels);
      packColumns(packedDOT, columnPanel, dOut + o, ldo, D, T, MR, 0, columnPanels);
      for (let t = 0; t < T; t++)
        store<f32>(corrections + (usize(t) << 2), rowDot(dOut + o + ldo * t, out + o + ldo * t, D));

      for (let block = 0; block < T; block += KEYS) {
        const blockKeys = min(KEYS, T - block);
        // Strips begin at the panel of queries that holds query `block`.
        const firstPanel = block / MR;
        const origin = firstPanel * MR;
        for (let key = block; key < block + blockKeys; key += NR) {
          const width = min(NR, T - key);
          const panel = key / MR;
          const skipped = ROW * (panel * MR - origin);
          const below = ROW * (key - origin); // where the strip's first query with a key is
          const dSStrip = dS + strip * ((key - block) / NR);
          const m = (rowPanels - panel) * MR;
          packRows(packedK, 0, k + ld * key, ld, width, D, NR, 0, 1);
          packRows(packedV, 0, v + ld * key, ld, width, D, NR, 0, 1);
          macroKernel(packedQ + rowPanel * panel, rowPanel, packedK, 0, p + skipped, ROW, 0, 0, m, NR, D, tile);
          macroKernel(packedDO + rowPanel * panel, rowPanel, packedV, 0, dP + skipped, ROW, 0, 0, m, NR, D, tile);
          if (threshold)
            for (let t = key; t < T; t++)
              dropRow(dP + ROW * (t - origin), (u32(bh) * T + t) * rowLength + key, rng, site, threshold, scale, masks);
          clear(dSStrip, below);
          for (let t = key; t < T; t++) {
            const row = ROW * (t - origin);
            const shift = load<f32>(logSums + (usize(t) << 2));
            const correction = load<f32>(corrections + (usize(t) << 2));
            probabilitiesAndScores(p + row, dP + row, dSStrip + row, root, shift, correction);
            if (t < key + NR - 1) maskRow(p + row, dSStrip + row, t - key);
            if (threshold)
              dropRow(p + row, (u32(bh) * T + t) * rowLength + key, rng, site, threshold, scale, masks);
          }
          const fromKey = usize(key) * MR << 2; // in each panel of columns, the queries before it are skipped
          macroKernel(packedDOT + fromKey, columnPanel, p + below, 0, gradient, ROW, 0, 0, columnPanels * MR, NR, T - key, tile);
          storeTransposed(gradient, dV + ld * key, ld, D, width, 0, accumulate);
          macroKernel(packedQT + fromKey, columnPanel, dSStrip + below, 0, gradient, ROW, 0, 0, columnPanels * MR, NR, T - key, tile);
          storeTransposed(gradient, dK + ld * key, ld, D, width, 0, accumulate);
        }

        const rows = T - block;
        for (let j = 0; j < blockKeys; j += NR)
          packRows(
            packedDS + panelBytes(MR, j), panelStride(MR, blockKeys), dS + strip * (j / NR) + ROW * (block - origin), ROW,
            rows, min(NR, blockKeys - j), MR, 0, panels(rows, MR),
          );
        packColumns(keyColumns, panelStride(NR, blockKeys), k + ld * block, ld, D, blockKeys, NR, 0, panels(D, NR));
        macroKernel(
          packedDS, panelStride(MR, blockKeys), keyColumns, panelStride(NR, blockKeys), dQ + ld * block, ld, 0,
          block > 0 ? 1 : accumulate, rows, D, blockKeys, tile,
        );
      }
    }
  }
}

/** Scores become probabilities P = exp(S/√D − lse), and their gradients those of the scores: P ⊙ (dP − correction)/√D. */
// @ts-ignore: decorator
@inline
function probabilitiesAndScores(p: usize, dP: usize, dS: usize, root: f32, lse: f32, correction: f32): void {
  const factor = f32x4.splat(root);
  const shift = f32x4.splat(-lse);
  const minus = f32x4.splat(correction);
  for (let l = 0; l < NR; l += 8) {
    const at = l << 2;
    const p0 = exp4(madd(v128.load(p + at), factor, shift));
    const p1 = exp4(madd(v128.load(p + at, 16), factor, shift));
    v128.store(p + at, p0);
    v128.store(p + at, p1, 16);
    v128.store(dS + at, f32x4.mul(f32x4.mul(p0, f32x4.sub(v128.load(dP + at), minus)), factor));
    v128.store(dS + at, f32x4.mul(f32x4.mul(p1, f32x4.sub(v128.load(dP + at, 16), minus)), factor), 16);
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

/** One head at a time: its new keys and values into the cache, then each new query against all it may see. */
export function attentionCached(
  thread: i32,
  threads: i32,
  qkv: usize,
  positions: usize,
  keys: usize,
  values: usize,
  out: usize,
  B: i32,
  T: i32,
  H: i32,
  D: i32,
  capacity: i32,
): void {
  const C = usize(H) * D;
  const ld = (C * 3) << 2;
  const bytes = usize(D) << 2;
  const root: f32 = 1 / squareRoot(f32(D));
  const scores = scratch(thread);
  for (let bh = thread; bh < B * H; bh += threads) {
    const q = qkv + usize(bh / H) * T * ld + ((usize(bh % H) * D) << 2);
    const cache = usize(bh) * capacity * bytes;
    const at = positions + ((usize(bh / H) * T) << 2);
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
      const o = out + (((usize(bh / H) * T + t) * C) << 2) + ((usize(bh % H) * D) << 2);
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
    v128.store(at, f32x4.mul(s0, by));
    v128.store(at, f32x4.mul(s1, by), 16);
    v128.store(at, f32x4.mul(s2, by), 32);
    v128.store(at, f32x4.mul(s3, by), 48);
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
