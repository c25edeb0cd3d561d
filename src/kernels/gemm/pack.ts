/**
 * Packing: copies a block of a matrix into panels, the order in which the micro-kernel reads it. A panel holds R rows of
 * op(A), or R columns of op(B), and has their R numbers for k = 0 side by side, then those for k = 1, and so on.
 * Transposition costs nothing more: it only decides which of the two functions packs an operand. Panels that stick out of
 * the matrix are filled up with zeros.
 *
 * `ld` is the length of a row of the source in bytes, R is MR (4 or 6) or NR (8 or 16).
 */

import { loadPart } from '../vector';
import { transpose4, transpose6, transpose8, transposeAny } from './transpose';

/** Bytes of a panel of R rows or columns, k deep. @inline */
export function panelBytes(R: i32, k: i32): usize {
  return (usize(R) * k) << 2;
}

/**
 * Bytes from one panel to the next where several are filled side by side: an odd number of cache lines, so that they do not
 * fall upon each other in the cache.
 * @inline
 */
export function panelStride(R: i32, k: i32): usize {
  return (((panelBytes(R, k) + 63) >> 6) | 1) << 6;
}

/** Panels of R in n rows or columns. @inline */
export function panels(n: i32, R: i32): i32 {
  return (n + R - 1) / R;
}

/**
 * Packs a source whose rows run along k: A as it is, B transposed. Panels `from` … `to` − 1 of `count` rows.
 *
 * @param stride bytes from one panel to the next: more than a panel takes where several blocks of k share it
 */
export function packRows(
  dst: usize,
  stride: usize,
  src: usize,
  ld: usize,
  count: i32,
  k: i32,
  R: i32,
  from: i32,
  to: i32,
): void {
  const step = usize(R) << 2;
  for (let panel = from; panel < to; panel++) {
    const p = dst + stride * panel;
    const first = panel * R;
    const s = src + ld * first;
    const rows = min(R, count - first);
    if (rows < R)
      for (let i = 0; i < k; i++) for (let r = rows; r < R; r++) store<f32>(p + step * i + (r << 2), 0);
    if (R == 6 && rows == 6) {
      transpose6(p, s, ld, k);
      continue;
    }
    let r = 0;
    for (; r + 8 <= rows; r += 8) transpose8(p + (r << 2), step, s + ld * r, ld, k);
    for (; r + 4 <= rows; r += 4) transpose4(p + (r << 2), step, s + ld * r, ld, k);
    if (r < rows) transposeAny(p + (r << 2), step, s + ld * r, ld, rows - r, k); // only where a panel sticks out
  }
}

/** Bytes of a row of the source that packColumns reads at a time, for as many panels as they belong to. */
const ROW_BYTES = 2048;

/**
 * Packs a source whose rows run across the panel: B as it is, A transposed. Many panels are filled side by side, four rows
 * of the source at a time: panel after panel would read as little as 24 bytes of a row at a time.
 */
export function packColumns(
  dst: usize,
  stride: usize,
  src: usize,
  ld: usize,
  count: i32,
  k: i32,
  R: i32,
  from: i32,
  to: i32,
): void {
  const whole = min(to, count / R);
  if (R == NR) wholeColumnsB(dst, stride, src, ld, k, from, whole);
  else wholeColumnsA(dst, stride, src, ld, k, from, whole);
  if (whole >= to) return;
  const step = usize(R) << 2;
  const columns = count - whole * R; // the last panel sticks out
  let s = src + step * whole;
  let at = dst + stride * whole;
  for (let i = 0; i < k; i++) {
    for (let r = 0; r < R; r += 4) {
      const v = r < columns ? loadPart(s + (r << 2), columns - r) : f32x4.splat(0);
      if (R - r >= 4) v128.store(at + (r << 2), v);
      else v128.store64_lane(at + (r << 2), v, 0); // the last two of MR = 6
    }
    s += ld;
    at += step;
  }
}

/**
 * One function for each R: two calls of `wholeColumns` in one place Binaryen folds into one, with R a variable, and every row
 * of a panel then asks what R is.
 */
function wholeColumnsA(dst: usize, stride: usize, src: usize, ld: usize, k: i32, from: i32, to: i32): void {
  wholeColumns(dst, stride, src, ld, k, MR, from, to);
}

function wholeColumnsB(dst: usize, stride: usize, src: usize, ld: usize, k: i32, from: i32, to: i32): void {
  wholeColumns(dst, stride, src, ld, k, NR, from, to);
}

/** Panels `from` … `to` − 1, of which none sticks out; R is a constant for whoever calls. @inline */
function wholeColumns(
  dst: usize,
  stride: usize,
  src: usize,
  ld: usize,
  k: i32,
  R: i32,
  from: i32,
  to: i32,
): void {
  const step = usize(R) << 2;
  const side = ROW_BYTES / (R << 2);
  for (let first = from; first < to; first += side) {
    const last = min(to, first + side);
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

/** R numbers. @inline */
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

/** Two rows of six numbers, one behind the other: three vectors. @inline */
function copyTwoOf6(dst: usize, row0: usize, row1: usize): void {
  const v0 = v128.load(row0);
  const v1 = v128.load64_lane(row1, v128.load64_zero(row0, 16), 1);
  const v2 = v128.load(row1, 8);
  v128.store(dst, v1, 16);
  v128.store(dst, v0);
  v128.store(dst, v2, 32);
}
