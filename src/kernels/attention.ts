/**
 * Causal multi-head attention, forward and backward, one head and one tile of rows at a time: the T×T matrix is never
 * written out, only ROWS rows of it. Within a tile, everything is a product of packed panels (gemm/).
 *
 *   forward   S = q·kᵀ, P = softmax(S/√D), out = P·v; the log-sum-exp of each row is kept
 *   backward  P = exp(S/√D − lse), dV = Pᵀ·dOut, dP = dOut·vᵀ, dS = P ⊙ (dP − Σ dOut·out)/√D, dQ = dS·k, dK = dSᵀ·q
 *
 * Threads split the heads of all sequences, forward also the tiles of rows. Backward leaves a head to one thread: the sums
 * dK and dV run over the tiles, in order.
 * Sources: Vaswani et al. 2017, equation 1; Dao et al. 2022, section 3.1 and appendix B.2.
 */
import { macroKernel } from './gemm/macro-kernel';
import { packColumns, packRows } from './gemm/pack';
import { rowDot, rowExp, rowMax, rowScale } from './normalisation';
import { masks16 } from './random';
import { scratch } from './scratch';
import { exp4, f32Log, loadPart, madd, storePart } from './vector';

/** Rows of a tile at most: a multiple of MR (4 and 6), enough that packing k and v anew for each tile costs little. */
const ROWS = 48;
/** Rows of each tile of T: as even as they come in whole panels (12 rows: panels of 4 or 6), as the last may be short. */
function tileRows(T: i32): i32 {
  const even = (T + (T + ROWS - 1) / ROWS - 1) / ((T + ROWS - 1) / ROWS);
  return (even + 11) / 12 * 12;
}

/** Keys multiplied at once, so that what is packed of them stays in the second-level cache. */
const KEYS = 192;

/** Panels in a matrix of n rows, for a panel of R. */
// @ts-ignore: decorator
@inline
function panels(n: i32, R: i32): i32 {
  return (n + R - 1) / R;
}
/** Bytes of n rows of k numbers, packed in panels of R rows. */
// @ts-ignore: decorator
@inline
function packedBytes(n: i32, k: i32, R: i32): usize {
  return (usize(panels(n, R)) * R * k) << 2;
}

/** c[m,n] (+)= A·Bᵀ for row-major A [m,k] and B [n,k]: scores, and gradients of probabilities. */
function rowsTimesRows(
  a: usize, lda: usize, b: usize, ldb: usize, c: usize, ldc: usize, m: i32, n: i32, k: i32, work: usize,
): void {
  const packedA = work + 4096;
  const packedB = packedA + packedBytes(m, k, MR);
  packRows(packedA, a, lda, m, k, MR, 0, panels(m, MR));
  for (let j = 0; j < n; j += KEYS) {
    const width = min(KEYS, n - j);
    packRows(packedB, b + ldb * j, ldb, width, k, NR, 0, panels(width, NR));
    macroKernel(packedA, packedB, c + (usize(j) << 2), ldc, 0, 0, m, width, k, work);
  }
}

/** c[m,n] (+)= A·B for row-major A [m,k] and B [k,n]: weighted sums of values, of keys. */
function rowsTimesColumns(
  a: usize, lda: usize, b: usize, ldb: usize, c: usize, ldc: usize, accumulate: i32, m: i32, n: i32, k: i32, work: usize,
): void {
  for (let p = 0; p < k; p += KEYS) {
    const depth = min(KEYS, k - p);
    const packedA = work + 4096;
    const packedB = packedA + packedBytes(m, depth, MR);
    packRows(packedA, a + (usize(p) << 2), lda, m, depth, MR, 0, panels(m, MR));
    packColumns(packedB, b + ldb * p, ldb, n, depth, NR, 0, panels(n, NR));
    macroKernel(packedA, packedB, c, ldc, 0, p > 0 ? 1 : accumulate, m, n, depth, work);
  }
}

/** c[m,n] += Aᵀ·B for row-major A [k,m] and B [k,n]: what each key and value gets from the rows of a tile. */
function addColumnsTimesColumns(
  a: usize, lda: usize, b: usize, ldb: usize, c: usize, ldc: usize, m: i32, n: i32, k: i32, work: usize,
): void {
  const packedB = work + 4096;
  const packedA = packedB + packedBytes(n, k, NR);
  packColumns(packedB, b, ldb, n, k, NR, 0, panels(n, NR));
  for (let i = 0; i < m; i += KEYS) {
    const height = min(KEYS, m - i);
    packColumns(packedA, a + (usize(i) << 2), lda, height, k, MR, 0, panels(height, MR));
    macroKernel(packedA, packedB, c + ldc * i, ldc, 0, 1, height, n, k, work);
  }
}

/** Room for a tile of scores: ROWS rows of T numbers, each on whole vectors. */
// @ts-ignore: decorator
@inline
function scoreStride(T: i32): usize {
  return usize((T + 15) & ~15) << 2;
}

/** Drops probabilities of row i of a head in place: those of the first n elements whose random word is too small become 0. */
function dropRow(row: usize, n: i32, rng: usize, index: u32, site: i32, threshold: i32, scale: f32, masks: usize): void {
  const factor = f32x4.splat(scale);
  for (let j = 0; j < n; j += 16) {
    masks16(masks, rng, (index + j) >>> 2, site, threshold);
    for (let l = j; l < min(j + 16, n); l += 4) {
      const at = row + (usize(l) << 2);
      const kept = v128.and(f32x4.mul(loadPart(at, n - l), factor), v128.load(masks + ((l - j) << 2)));
      storePart(at, kept, n - l);
    }
  }
}

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
  const C = usize(H) * D;
  const ld = (C * 3) << 2;
  const root: f32 = 1 / sqrt<f32>(f32(D));
  const height = tileRows(T);
  const tiles = (T + height - 1) / height;
  const scores = scratch(thread);
  const ldScores = scoreStride(T);
  const work = scores + ldScores * ROWS;
  const rowLength = u32((T + 3) & ~3);

  // Later tiles see more keys and cost more: dealing them out in turn keeps the threads even.
  for (let item = thread; item < B * H * tiles; item += threads) {
    const bh = item / tiles;
    const i = (item % tiles) * height;
    const rows = min(height, T - i);
    const keys = i + rows;
    const q = qkv + usize(bh / H) * T * ld + ((usize(bh % H) * D) << 2);
    const k = q + (C << 2);
    const v = k + (C << 2);
    rowsTimesRows(q + ld * i, ld, k, ld, scores, ldScores, rows, keys, D, work);
    for (let r = 0; r < rows; r++) {
      const row = scores + ldScores * r;
      const n = i + r + 1; // keys this row may see
      const largest = rowMax(row, n);
      const sum = rowExp(row, row, n, largest, root);
      rowScale(row, row, n, 1 / sum);
      store<f32>(lse + ((usize(bh) * T + i + r) << 2), largest * root + f32Log(sum));
      if (threshold) {
        const index = (u32(bh) * T + i + r) * rowLength;
        dropRow(row, n, rng, index, site, threshold, scale, work);
      }
      memory.fill(row + (usize(n) << 2), 0, usize(keys - n) << 2);
    }
    const o = out + ((usize(bh / H) * T + i) * C << 2) + ((usize(bh % H) * D) << 2);
    rowsTimesColumns(scores, ldScores, v, ld, o, C << 2, 0, rows, D, keys, work);
  }
}

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
  const root: f32 = 1 / sqrt<f32>(f32(D));
  const ldScores = scoreStride(T);
  const height = tileRows(T);
  const p = scratch(thread);
  const dP = p + ldScores * ROWS;
  const work = dP + ldScores * ROWS;
  const rowLength = u32((T + 3) & ~3);

  for (let bh = thread; bh < B * H; bh += threads) {
    const at = usize(bh / H) * T * ld + ((usize(bh % H) * D) << 2);
    const q = qkv + at;
    const k = q + (C << 2);
    const v = k + (C << 2);
    const dQ = dQkv + at;
    const dK = dQ + (C << 2);
    const dV = dK + (C << 2);
    const o = usize(bh / H) * T * ldo + ((usize(bh % H) * D) << 2);
    if (!accumulate)
      for (let t = 0; t < T; t++) {
        memory.fill(dK + ld * t, 0, usize(D) << 2);
        memory.fill(dV + ld * t, 0, usize(D) << 2);
      }
    for (let i = 0; i < T; i += height) {
      const rows = min(height, T - i);
      const keys = i + rows;
      const oi = o + ldo * i;
      rowsTimesRows(q + ld * i, ld, k, ld, p, ldScores, rows, keys, D, work);
      rowsTimesRows(dOut + oi, ldo, v, ld, dP, ldScores, rows, keys, D, work);
      for (let r = 0; r < rows; r++) {
        const n = i + r + 1;
        const row = p + ldScores * r;
        const dRow = dP + ldScores * r;
        const index = (u32(bh) * T + i + r) * rowLength;
        const correction = rowDot(dOut + oi + ldo * r, out + oi + ldo * r, D);
        const shift = load<f32>(lse + ((usize(bh) * T + i + r) << 2));
        if (threshold) dropRow(dRow, n, rng, index, site, threshold, scale, work);
        probabilitiesAndScores(row, dRow, n, root, shift, correction);
        if (threshold) dropRow(row, n, rng, index, site, threshold, scale, work);
        memory.fill(row + (usize(n) << 2), 0, usize(keys - n) << 2);
        memory.fill(dRow + (usize(n) << 2), 0, usize(keys - n) << 2);
      }
      addColumnsTimesColumns(p, ldScores, dOut + oi, ldo, dV, ld, keys, D, rows, work);
      rowsTimesColumns(dP, ldScores, k, ld, dQ + ld * i, ld, accumulate, rows, D, keys, work);
      addColumnsTimesColumns(dP, ldScores, q + ld * i, ld, dK, ld, keys, D, rows, work);
    }
  }
}

/** Scores become probabilities P = exp(S/√D − lse), and their gradients those of the scores: P ⊙ (dP − correction)/√D. */
function probabilitiesAndScores(row: usize, dRow: usize, n: i32, root: f32, lse: f32, correction: f32): void {
  const factor = f32x4.splat(root);
  const shift = f32x4.splat(-lse);
  const minus = f32x4.splat(correction);
  for (let j = 0; j < n; j += 4) {
    const p = exp4(madd(loadPart(row + (j << 2), n - j), factor, shift));
    const dS = f32x4.mul(f32x4.mul(p, f32x4.sub(loadPart(dRow + (j << 2), n - j), minus)), factor);
    storePart(row + (j << 2), p, n - j);
    storePart(dRow + (j << 2), dS, n - j);
  }
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
  const root: f32 = 1 / sqrt<f32>(f32(D));
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
      for (let j = 0; j < n; j++)
        store<f32>(scores + (usize(j) << 2), rowDot(q + ld * t, keys + cache + bytes * j, D));
      const sum = rowExp(scores, scores, n, rowMax(scores, n), root);
      const o = out + (((usize(bh / H) * T + t) * C) << 2) + ((usize(bh % H) * D) << 2);
      weightedSum(scores, values + cache, o, n, D, 1 / sum);
    }
  }
}

/** out[D] = factor·Σ_j weights[j]·rows[j,:]. */
function weightedSum(weights: usize, rows: usize, out: usize, n: i32, D: i32, factor: f32): void {
  const stride = usize(D) << 2;
  for (let d = 0; d < D; d += 4) {
    let sum = f32x4.splat(0);
    let p = rows + (d << 2);
    for (let j = 0; j < n; j++) {
      sum = madd(v128.load32_splat(weights + (usize(j) << 2)), loadPart(p, D - d), sum);
      p += stride;
    }
    storePart(out + (d << 2), f32x4.mul(sum, f32x4.splat(factor)), D - d);
  }
}
