/**
 * Packing: copies a block of a matrix into panels, the order in which the micro-kernel reads it. A panel holds R rows of op(A),
 * or R columns of op(B): their R numbers for k = 0 are adjacent, then come those for k = 1, and so on. R is MR (4 or 6) or NR
 * (8 or 16). Transposition only decides which of the two functions packs an operand. Panels that extend beyond the matrix are
 * padded with zeros.
 *
 * `ld` is the leading dimension of the source: bytes from one of its rows to the next.
 */
import { MR, NR } from '../generated/constants';
import { loadPart } from '../vector';
import { transpose4, transpose6, transpose8, transposeAny } from './transpose';

/** Bytes of a panel of R rows or columns, k deep. @inline */
export function panelBytes(R: i32, k: i32): usize {
  return (usize(R) * k) << 2;
}

/**
 * Bytes from one panel to the next: an odd number of cache lines, so that panels filled side by side do not compete for the
 * same cache sets.
 * @inline
 */
export function panelStride(R: i32, k: i32): usize {
  return (((panelBytes(R, k) + 63) >> 6) | 1) << 6;
}

/** Number of panels for n rows or columns. @inline */
export function panels(n: i32, R: i32): i32 {
  return (n + R - 1) / R;
}

/** Packs `n` rows of k numbers: rows of A, or columns of a transposed B. */
export function packRows(dst: usize, src: usize, ld: usize, n: i32, k: i32, R: i32): void {
  const step = usize(R) << 2;
  const stride = panelStride(R, k);
  for (let first = 0; first < n; first += R) {
    const rows = min(R, n - first);
    if (rows < R)
      for (let i = 0; i < k; i++) for (let r = rows; r < R; r++) store<f32>(dst + step * i + (r << 2), 0);
    if (R == 6 && rows == 6) transpose6(dst, src, ld, k);
    else {
      let r = 0;
      for (; r + 8 <= rows; r += 8) transpose8(dst + (r << 2), step, src + ld * r, ld, k);
      for (; r + 4 <= rows; r += 4) transpose4(dst + (r << 2), step, src + ld * r, ld, k);
      if (r < rows) transposeAny(dst + (r << 2), step, src + ld * r, ld, rows - r, k); // a panel that extends beyond n
    }
    dst += stride;
    src += ld * R;
  }
}

/** Packs `n` columns of k rows: columns of B, or rows of a transposed A. */
export function packColumns(dst: usize, src: usize, ld: usize, n: i32, k: i32, R: i32): void {
  const whole = n / R;
  // R is a constant in each function. Binaryen would merge two calls in one place into a single call with R as a variable,
  // which every row of a panel would test.
  if (R == NR) wholePanelsOfB(dst, src, ld, whole, k);
  else wholePanelsOfA(dst, src, ld, whole, k);
  const columns = n - whole * R;
  if (columns > 0)
    lastPanel(dst + panelStride(R, k) * whole, src + (usize(R) << 2) * whole, ld, columns, k, R);
}

function wholePanelsOfA(dst: usize, src: usize, ld: usize, count: i32, k: i32): void {
  wholePanels(dst, src, ld, count, k, MR);
}

function wholePanelsOfB(dst: usize, src: usize, ld: usize, count: i32, k: i32): void {
  wholePanels(dst, src, ld, count, k, NR);
}

/** Bytes of a source row read at a time, which fill several panels. */
const ROW_BYTES = 2048;

/**
 * Panels that do not extend beyond the matrix. Many are filled side by side, four rows of the source at a time: filling them
 * one by one would read as little as 24 bytes of a row at a time.
 * @inline
 */
function wholePanels(dst: usize, src: usize, ld: usize, count: i32, k: i32, R: i32): void {
  const step = usize(R) << 2;
  const stride = panelStride(R, k);
  const side = ROW_BYTES / (R << 2);
  for (let first = 0; first < count; first += side) {
    const last = min(count, first + side);
    let line = src + step * first;
    let at = dst + stride * first;
    let i = 0;
    for (; i + 4 <= k; i += 4) {
      let s = line;
      let p = at;
      for (let panel = first; panel < last; panel++) {
        if (R == 6) {
          copyTwoOf6(p, s, s + ld);
          copyTwoOf6(p + step * 2, s + ld * 2, s + ld * 3);
        } else {
          copyRow(p, s, R);
          copyRow(p + step, s + ld, R);
          copyRow(p + step * 2, s + ld * 2, R);
          copyRow(p + step * 3, s + ld * 3, R);
        }
        s += step;
        p += stride;
      }
      line += ld * 4;
      at += step * 4;
    }
    for (; i < k; i++) {
      let s = line;
      let p = at;
      for (let panel = first; panel < last; panel++) {
        copyRow(p, s, R);
        s += step;
        p += stride;
      }
      line += ld;
      at += step;
    }
  }
}

/** A panel of fewer than R columns. */
function lastPanel(dst: usize, src: usize, ld: usize, columns: i32, k: i32, R: i32): void {
  for (let i = 0; i < k; i++) {
    for (let r = 0; r < R; r += 4) {
      const v = r < columns ? loadPart(src + (r << 2), columns - r) : f32x4.splat(0);
      if (R - r >= 4) v128.store(dst + (r << 2), v);
      else v128.store64_lane(dst + (r << 2), v, 0); // the last two of MR = 6
    }
    src += ld;
    dst += usize(R) << 2;
  }
}

/** Copies R numbers. @inline */
function copyRow(dst: usize, src: usize, R: i32): void {
  if (R == 16) {
    const v0 = v128.load(src);
    const v1 = v128.load(src, 16);
    const v2 = v128.load(src, 32);
    const v3 = v128.load(src, 48);
    v128.store(dst, v1, 16);
    v128.store(dst, v0);
    v128.store(dst, v3, 48);
    v128.store(dst, v2, 32);
  } else if (R == 8) {
    const v0 = v128.load(src);
    const v1 = v128.load(src, 16);
    v128.store(dst, v1, 16);
    v128.store(dst, v0);
  } else {
    v128.store(dst, v128.load(src));
    if (R == 6) store<u64>(dst, load<u64>(src, 16), 16);
  }
}

/** Copies two rows of six numbers as three vectors. @inline */
function copyTwoOf6(dst: usize, row0: usize, row1: usize): void {
  const v0 = v128.load(row0);
  const v1 = v128.load64_lane(row1, v128.load64_zero(row0, 16), 1);
  const v2 = v128.load(row1, 8);
  v128.store(dst, v1, 16);
  v128.store(dst, v0);
  v128.store(dst, v2, 32);
}
