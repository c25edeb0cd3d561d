/**
 * The product of a few rows with a matrix, as in decoding one token: every number of B is used only once or a few times, so
 * the time is that of reading B. Threads split the columns; nothing is packed.
 */
import { loadPart, madd, putPart } from '../vector';
import { rowDot } from '../normalisation';
import { scratch } from '../scratch';
import { share } from '../threads';

export function matrixTimesFewRows(
  thread: i32,
  threads: i32,
  a: usize,
  b: usize,
  bias: usize,
  c: usize,
  accumulate: i32,
  M: i32,
  N: i32,
  K: i32,
  transB: i32,
): void {
  const from = share(N, 16, thread, threads);
  const to = share(N, 16, thread + 1, threads);
  if (from == to) return;
  for (let m = 0; m < M; m++) {
    const row = a + ((usize(m) * K) << 2);
    const out = c + ((usize(m) * N) << 2);
    if (transB) dotProducts(row, b, bias, out, accumulate, K, from, to);
    else weightedRows(row, b, bias, out, accumulate, N, K, from, to, scratch(thread));
  }
}

/** c[n] = Σ_k a[k]·b[n,k]: B is read row after row. */
function dotProducts(a: usize, b: usize, bias: usize, c: usize, accumulate: i32, K: i32, from: i32, to: i32): void {
  for (let n = from; n < to; n++) {
    let value = rowDot(a, b + ((usize(n) * K) << 2), K);
    if (bias) value += load<f32>(bias + (usize(n) << 2));
    const at = c + (usize(n) << 2);
    store<f32>(at, accumulate ? load<f32>(at) + value : value);
  }
}

/** Columns summed at once; their sums stay in the first-level cache. */
const WIDTH = 2048;

/** c[n] = Σ_k a[k]·b[k,n]: four rows of B at a time are added to the sums. */
function weightedRows(
  a: usize,
  b: usize,
  bias: usize,
  c: usize,
  accumulate: i32,
  N: i32,
  K: i32,
  from: i32,
  to: i32,
  sums: usize,
): void {
  const ld = usize(N) << 2;
  for (let start = from; start < to; start += WIDTH) {
    const width = min(WIDTH, to - start);
    memory.fill(sums, 0, usize(width + 4) << 2);
    let k = 0;
    for (; k + 4 <= K; k += 4) {
      const a0 = v128.load32_splat(a + (usize(k) << 2));
      const a1 = v128.load32_splat(a + (usize(k) << 2), 4);
      const a2 = v128.load32_splat(a + (usize(k) << 2), 8);
      const a3 = v128.load32_splat(a + (usize(k) << 2), 12);
      const row = b + ld * k + (usize(start) << 2);
      let n = 0;
      for (; n + 8 <= width; n += 8) {
        const p = row + (n << 2);
        let low = v128.load(sums + (n << 2));
        let high = v128.load(sums + (n << 2), 16);
        low = madd(a0, v128.load(p), low);
        high = madd(a0, v128.load(p, 16), high);
        low = madd(a1, v128.load(p + ld), low);
        high = madd(a1, v128.load(p + ld, 16), high);
        low = madd(a2, v128.load(p + ld * 2), low);
        high = madd(a2, v128.load(p + ld * 2, 16), high);
        low = madd(a3, v128.load(p + ld * 3), low);
        high = madd(a3, v128.load(p + ld * 3, 16), high);
        v128.store(sums + (n << 2), low);
        v128.store(sums + (n << 2), high, 16);
      }
      for (; n < width; n += 4) {
        const p = row + (n << 2);
        let sum = v128.load(sums + (n << 2));
        sum = madd(a0, loadPart(p, width - n), sum);
        sum = madd(a1, loadPart(p + ld, width - n), sum);
        sum = madd(a2, loadPart(p + ld * 2, width - n), sum);
        sum = madd(a3, loadPart(p + ld * 3, width - n), sum);
        v128.store(sums + (n << 2), sum);
      }
    }
    for (; k < K; k++) {
      const weight = v128.load32_splat(a + (usize(k) << 2));
      const row = b + ld * k + (usize(start) << 2);
      for (let n = 0; n < width; n += 4) {
        const sum = madd(weight, loadPart(row + (n << 2), width - n), v128.load(sums + (n << 2)));
        v128.store(sums + (n << 2), sum);
      }
    }
    for (let n = 0; n < width; n += 4) {
      let sum = v128.load(sums + (n << 2));
      if (bias) sum = f32x4.add(sum, loadPart(bias + (usize(start + n) << 2), width - n));
      putPart(c + (usize(start + n) << 2), sum, width - n, accumulate);
    }
  }
}
