/**
 * The product of a few rows with a matrix, as in decoding one token of one text or of several: every number of B is used only
 * once or a few times, so the time is that of reading B. Nothing is packed, and each thread reads one stretch of memory from
 * end to end, as the hardware fetches ahead only along a stream: with columns split over two threads, each jumping from row to
 * row, a matrix larger than the caches took 1.4 times as long.
 *
 * A row of the result has the same bits whatever rows there are besides it: a text that is written together with others is the
 * same as alone.
 */
import { loadPart, madd, putPart, sumFour } from '../vector';
import { rowDot } from '../normalisation';
import { scratch, sharedScratch } from '../scratch';
import { barrier, share } from '../threads';

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
  const large = i64(N) * K >= LARGE;
  const from = share(N, 16, thread, threads);
  const to = share(N, 16, thread + 1, threads);
  if (transB) {
    dotProducts(a, b, bias, c, accumulate, M, N, K, from, to, scratch(thread));
    return;
  }
  for (let m = 0; m < M; m++) {
    const row = a + ((usize(m) * K) << 2);
    const out = c + ((usize(m) * N) << 2);
    if (large) {
      if (m > 0) barrier(threads); // the partial sums of the row before have been read
      slices(thread, threads, row, b, N, K);
      barrier(threads);
      sumSlices(bias, out, accumulate, N, from, to);
    } else if (from < to) weightedRows(row, b, bias, out, accumulate, N, K, from, to, scratch(thread));
  }
}

/**
 * c[m,n] = Σ_k a[m,k]·b[n,k]. B is read in four streams, each a quarter of the thread's rows from end to end: more of memory is
 * on its way then than with one stream, and the streams are long, so that the hardware fetches ahead of them. (Four rows side by
 * side, the streams of which end with the row, gave 0.6 times the speed where a row has 384 numbers, one row after the other
 * 0.8 times.) Each four rows meet all rows of A, two at a time.
 */
function dotProducts(
  a: usize,
  b: usize,
  bias: usize,
  c: usize,
  accumulate: i32,
  M: i32,
  N: i32,
  K: i32,
  from: i32,
  to: i32,
  sums: usize,
): void {
  const quarter = ((to - from) >> 4) << 2;
  fourStreams(a, b, bias, c, accumulate, M, N, K, from, quarter, sums);
  const rest = from + 4 * quarter;
  fourStreams(a, b, bias, c, accumulate, M, N, K, rest, (to - rest) >> 2, sums);
  const ld = usize(K) << 2;
  for (let n = to - ((to - rest) & 3); n < to; n++)
    for (let m = 0; m < M; m++) {
      let value = rowDot(a + ld * m, b + ld * n, K);
      if (bias) value += load<f32>(bias + (usize(n) << 2));
      const at = c + ((usize(m) * N + n) << 2);
      store<f32>(at, accumulate ? load<f32>(at) + value : value);
    }
}

/** Columns `from` + i, `from` + `length` + i, … of C for i < `length`, four times; in fours as far as they go. */
function fourStreams(
  a: usize,
  b: usize,
  bias: usize,
  c: usize,
  accumulate: i32,
  M: i32,
  N: i32,
  K: i32,
  from: i32,
  length: i32,
  sums: usize,
): void {
  const ld = usize(K) << 2;
  const apart = ld * length;
  for (let i = 0; i < length; i += 4) {
    const count = min(4, length - i);
    const rows = b + ld * (from + i);
    let m = 0;
    for (; m + 2 <= M; m += 2) {
      const row = a + ld * m;
      for (let r = 0; r < count; r++) {
        dotTwoByFour(row, ld, rows + ld * r, apart, K, sums + (r << 5));
        if (K & 7) {
          dotRest(row, rows + ld * r, apart, K, sums + (r << 5));
          dotRest(row + ld, rows + ld * r, apart, K, sums + (r << 5) + SUMS);
        }
      }
      putSums(sums, bias, c, accumulate, m, N, from + i, length, count);
      putSums(sums + SUMS, bias, c, accumulate, m + 1, N, from + i, length, count);
    }
    if (m < M) {
      const row = a + ld * m;
      for (let r = 0; r < count; r++) {
        dotOneByFour(row, rows + ld * r, apart, K, sums + (r << 5));
        if (K & 7) dotRest(row, rows + ld * r, apart, K, sums + (r << 5));
      }
      putSums(sums, bias, c, accumulate, m, N, from + i, length, count);
    }
  }
}

/** Bytes of the sums of four rows of each stream: a pair of vectors each, as in `rowDot`; and those of all four streams. */
const STREAM: usize = 128;
const SUMS: usize = STREAM * 4;

/**
 * The sums of a row with four rows, over the whole eights of K. They end in memory, and nothing else is done here, because V8
 * makes 256-bit operations only of what goes straight from a loop into neighbouring stores.
 */
function dotOneByFour(a: usize, b: usize, apart: usize, K: i32, sums: usize): void {
  let e0 = f32x4.splat(0),
    o0 = f32x4.splat(0);
  let e1 = f32x4.splat(0),
    o1 = f32x4.splat(0);
  let e2 = f32x4.splat(0),
    o2 = f32x4.splat(0);
  let e3 = f32x4.splat(0),
    o3 = f32x4.splat(0);
  for (let k = K >> 3; k > 0; k--) {
    const even = v128.load(a);
    const odd = v128.load(a, 16);
    e0 = madd(even, v128.load(b), e0);
    o0 = madd(odd, v128.load(b, 16), o0);
    e1 = madd(even, v128.load(b + apart), e1);
    o1 = madd(odd, v128.load(b + apart, 16), o1);
    e2 = madd(even, v128.load(b + apart * 2), e2);
    o2 = madd(odd, v128.load(b + apart * 2, 16), o2);
    e3 = madd(even, v128.load(b + apart * 3), e3);
    o3 = madd(odd, v128.load(b + apart * 3, 16), o3);
    a += 32;
    b += 32;
  }
  storePairs(sums, e0, o0, e1, o1, e2, o2, e3, o3);
}

/** The same for two rows of A. Their sums and what they are made of fill the 16 vector registers. */
function dotTwoByFour(a: usize, ld: usize, b: usize, apart: usize, K: i32, sums: usize): void {
  let e0 = f32x4.splat(0),
    o0 = f32x4.splat(0);
  let e1 = f32x4.splat(0),
    o1 = f32x4.splat(0);
  let e2 = f32x4.splat(0),
    o2 = f32x4.splat(0);
  let e3 = f32x4.splat(0),
    o3 = f32x4.splat(0);
  let f0 = f32x4.splat(0),
    p0 = f32x4.splat(0);
  let f1 = f32x4.splat(0),
    p1 = f32x4.splat(0);
  let f2 = f32x4.splat(0),
    p2 = f32x4.splat(0);
  let f3 = f32x4.splat(0),
    p3 = f32x4.splat(0);
  for (let k = K >> 3; k > 0; k--) {
    const a0 = v128.load(a);
    const a1 = v128.load(a, 16);
    const a2 = v128.load(a + ld);
    const a3 = v128.load(a + ld, 16);
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    e0 = madd(a0, b0, e0);
    o0 = madd(a1, b1, o0);
    f0 = madd(a2, b0, f0);
    p0 = madd(a3, b1, p0);
    const b2 = v128.load(b + apart);
    const b3 = v128.load(b + apart, 16);
    e1 = madd(a0, b2, e1);
    o1 = madd(a1, b3, o1);
    f1 = madd(a2, b2, f1);
    p1 = madd(a3, b3, p1);
    const b4 = v128.load(b + apart * 2);
    const b5 = v128.load(b + apart * 2, 16);
    e2 = madd(a0, b4, e2);
    o2 = madd(a1, b5, o2);
    f2 = madd(a2, b4, f2);
    p2 = madd(a3, b5, p2);
    const b6 = v128.load(b + apart * 3);
    const b7 = v128.load(b + apart * 3, 16);
    e3 = madd(a0, b6, e3);
    o3 = madd(a1, b7, o3);
    f3 = madd(a2, b6, f3);
    p3 = madd(a3, b7, p3);
    a += 32;
    b += 32;
  }
  storePairs(sums, e0, o0, e1, o1, e2, o2, e3, o3);
  storePairs(sums + SUMS, f0, p0, f1, p1, f2, p2, f3, p3);
}

/** @inline */
function storePairs(
  sums: usize,
  e0: v128,
  o0: v128,
  e1: v128,
  o1: v128,
  e2: v128,
  o2: v128,
  e3: v128,
  o3: v128,
): void {
  v128.store(sums, o0, 16);
  v128.store(sums, e0);
  v128.store(sums + STREAM, o1, 16);
  v128.store(sums + STREAM, e1);
  v128.store(sums + STREAM * 2, o2, 16);
  v128.store(sums + STREAM * 2, e2);
  v128.store(sums + STREAM * 3, o3, 16);
  v128.store(sums + STREAM * 3, e3);
}

/** Adds what is left of K behind the eights to the even sums of a row with four rows. */
function dotRest(a: usize, b: usize, apart: usize, K: i32, sums: usize): void {
  for (let k = K & ~7; k < K; k += 4) {
    const x = loadPart(a + (usize(k) << 2), K - k);
    for (let r: usize = 0; r < 4; r++) {
      const sum = sums + STREAM * r;
      v128.store(sum, madd(x, loadPart(b + apart * r + (usize(k) << 2), K - k), v128.load(sum)));
    }
  }
}

/** c[m, n … n + count − 1] (+)= sums + bias, in each of the four streams, which are `length` columns apart. */
function putSums(
  sums: usize,
  bias: usize,
  c: usize,
  accumulate: i32,
  m: i32,
  N: i32,
  n: i32,
  length: i32,
  count: i32,
): void {
  for (let stream = 0; stream < 4; stream++) {
    let four = sumFour(
      f32x4.add(v128.load(sums), v128.load(sums, 16)),
      f32x4.add(v128.load(sums, 32), v128.load(sums, 48)),
      f32x4.add(v128.load(sums, 64), v128.load(sums, 80)),
      f32x4.add(v128.load(sums, 96), v128.load(sums, 112)),
    );
    if (bias) four = f32x4.add(four, loadPart(bias + (usize(n) << 2), count));
    putPart(c + ((usize(m) * N + n) << 2), four, count, accumulate);
    sums += STREAM;
    n += length;
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
        v128.store(sums + (n << 2), high, 16);
        v128.store(sums + (n << 2), low);
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

/** Elements from which on a matrix is taken to be in no cache that counts: 1 MiB, a core's second level. */
const LARGE = 1 << 18;
/** A large matrix is read in so many slices of rows, each of which has sums of its own: part of the result's definition. */
const SLICES = 8;

/** The sums over each slice of rows, one below the other in shared memory. More threads than slices split them by columns. */
function slices(thread: i32, threads: i32, a: usize, b: usize, N: i32, K: i32): void {
  const team = max(1, threads / SLICES); // threads for each slice
  const workers = min(threads, SLICES);
  const worker = thread / team;
  if (worker >= workers) return;
  const from = share(N, 16, thread % team, team);
  const to = share(N, 16, (thread % team) + 1, team);
  const last = share(SLICES, 1, worker + 1, workers);
  for (let slice = share(SLICES, 1, worker, workers); slice < last; slice++) {
    const sums = sharedScratch() + sliceBytes(N) * slice;
    memory.fill(sums + (usize(from) << 2), 0, usize(to - from) << 2);
    const end = share(K, 1, slice + 1, SLICES);
    for (let k = share(K, 1, slice, SLICES); k < end; k++)
      addRow(load<f32>(a + (usize(k) << 2)), b + ((usize(k) * N) << 2), sums, from, to);
  }
}

/** Bytes of the sums of a slice. @inline */
function sliceBytes(N: i32): usize {
  return usize((N + 15) & ~15) << 2;
}

/** sums[n] += factor·row[n] for n in [from, to). */
function addRow(factor: f32, row: usize, sums: usize, from: i32, to: i32): void {
  const weight = f32x4.splat(factor);
  let n = from;
  for (; n + 16 <= to; n += 16) {
    const p = row + (usize(n) << 2);
    const at = sums + (usize(n) << 2);
    const s0 = madd(weight, v128.load(p), v128.load(at));
    const s1 = madd(weight, v128.load(p, 16), v128.load(at, 16));
    const s2 = madd(weight, v128.load(p, 32), v128.load(at, 32));
    const s3 = madd(weight, v128.load(p, 48), v128.load(at, 48));
    v128.store(at, s1, 16);
    v128.store(at, s0);
    v128.store(at, s3, 48);
    v128.store(at, s2, 32);
  }
  for (; n < to; n += 4) {
    const at = sums + (usize(n) << 2);
    v128.store(at, madd(weight, loadPart(row + (usize(n) << 2), to - n), v128.load(at)));
  }
}

/** c[n] (+)= Σ of the slices + bias for n in [from, to). */
function sumSlices(bias: usize, c: usize, accumulate: i32, N: i32, from: i32, to: i32): void {
  const bytes = sliceBytes(N);
  for (let n = from; n < to; n += 4) {
    const at = sharedScratch() + (usize(n) << 2);
    let sum = v128.load(at);
    for (let slice = 1; slice < SLICES; slice++) sum = f32x4.add(sum, v128.load(at + bytes * slice));
    if (bias) sum = f32x4.add(sum, loadPart(bias + (usize(n) << 2), to - n));
    putPart(c + (usize(n) << 2), sum, to - n, accumulate);
  }
}
