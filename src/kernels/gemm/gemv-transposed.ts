/**
 * Few rows times a transposed matrix: dot products of the rows of A with the rows of B. Each thread reads its rows of B in four
 * streams, a quarter of them each: one stream keeps too few memory requests in flight, and short streams defeat the hardware
 * prefetchers. (Streams that end with each row of 384 numbers reached 0.6 times the speed, a single stream 0.8 times.)
 */
import { GemmArguments } from '../generated/arguments';
import { rowDot } from '../rows';
import { allocate } from '../scratch';
import { loadPart, madd, putPart, sumFour } from '../vector';

/** Bytes of the sums of a row of A with four rows of one stream: a pair of vectors for each, as in `rowDot`. */
const STREAM: usize = 128;
/** Bytes of those of all four streams. */
const SUMS: usize = STREAM * 4;

/** c[m,n] (+)= Σ_k a[m,k]·b[n,k] + bias[n] for n in [from, to). */
export function rowsTimesTransposed(args: GemmArguments, from: i32, to: i32): void {
  const sums = allocate(SUMS * 2);
  const quarter = ((to - from) >> 4) << 2;
  fourStreams(args, from, quarter, sums);
  const rest = from + 4 * quarter;
  fourStreams(args, rest, (to - rest) >> 2, sums);
  const K = args.K;
  const ld = usize(K) << 2;
  for (let n = to - ((to - rest) & 3); n < to; n++)
    for (let m = 0; m < args.M; m++) {
      let value = rowDot(args.a + ld * m, args.b + ld * n, K);
      if (args.bias) value += load<f32>(args.bias + (usize(n) << 2));
      const at = args.c + ((usize(m) * args.N + n) << 2);
      store<f32>(at, args.accumulateC ? load<f32>(at) + value : value);
    }
}

/**
 * Columns `from` + i, `from` + `length` + i, … of C for i < `length`, in four streams. Each four rows of a stream are multiplied
 * with all rows of A, two at a time.
 */
function fourStreams(args: GemmArguments, from: i32, length: i32, sums: usize): void {
  const K = args.K;
  const M = args.M;
  const ld = usize(K) << 2;
  const apart = ld * length;
  for (let i = 0; i < length; i += 4) {
    const count = min(4, length - i);
    const rows = args.b + ld * (from + i);
    let m = 0;
    for (; m + 2 <= M; m += 2) {
      const a = args.a + ld * m;
      for (let r = 0; r < count; r++) {
        dotTwoByFour(a, ld, rows + ld * r, apart, K, sums + (r << 5));
        if (K & 7) {
          dotRest(a, rows + ld * r, apart, K, sums + (r << 5));
          dotRest(a + ld, rows + ld * r, apart, K, sums + (r << 5) + SUMS);
        }
      }
      putSums(args, sums, m, from + i, length, count);
      putSums(args, sums + SUMS, m + 1, from + i, length, count);
    }
    if (m < M) {
      const a = args.a + ld * m;
      for (let r = 0; r < count; r++) {
        dotOneByFour(a, rows + ld * r, apart, K, sums + (r << 5));
        if (K & 7) dotRest(a, rows + ld * r, apart, K, sums + (r << 5));
      }
      putSums(args, sums, m, from + i, length, count);
    }
  }
}

/**
 * The dot products of a row with a row of each stream, `apart` bytes from one to the next, over the multiple of 8 in K. The
 * sums go to memory, and nothing else is done here: V8 makes 256-bit operations only of vectors that go straight from a loop to
 * adjacent stores.
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
  storePair(sums, e0, o0);
  storePair(sums + STREAM * 1, e1, o1);
  storePair(sums + STREAM * 2, e2, o2);
  storePair(sums + STREAM * 3, e3, o3);
}

/** The same for two rows of A, `ld` bytes apart. Sums and operands fill the 16 vector registers. */
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
  storePair(sums, e0, o0);
  storePair(sums + STREAM * 1, e1, o1);
  storePair(sums + STREAM * 2, e2, o2);
  storePair(sums + STREAM * 3, e3, o3);
  storePair(sums + SUMS, f0, p0);
  storePair(sums + (SUMS + STREAM * 1), f1, p1);
  storePair(sums + (SUMS + STREAM * 2), f2, p2);
  storePair(sums + (SUMS + STREAM * 3), f3, p3);
}

/** @inline */
function storePair(sums: usize, even: v128, odd: v128): void {
  v128.store(sums, odd, 16);
  v128.store(sums, even);
}

/** Adds the last K mod 8 products to the even sums of a row with a row of each stream. */
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
function putSums(args: GemmArguments, sums: usize, m: i32, n: i32, length: i32, count: i32): void {
  const bias = args.bias;
  const c = args.c + ((usize(m) * args.N) << 2);
  for (let stream = 0; stream < 4; stream++) {
    let four = sumFour(
      f32x4.add(v128.load(sums), v128.load(sums, 16)),
      f32x4.add(v128.load(sums, 32), v128.load(sums, 48)),
      f32x4.add(v128.load(sums, 64), v128.load(sums, 80)),
      f32x4.add(v128.load(sums, 96), v128.load(sums, 112)),
    );
    if (bias) four = f32x4.add(four, loadPart(bias + (usize(n) << 2), count));
    putPart(c + (usize(n) << 2), four, count, args.accumulateC);
    sums += STREAM;
    n += length;
  }
}
