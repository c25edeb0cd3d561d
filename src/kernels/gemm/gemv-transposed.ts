/**
 * A few rows times a transposed matrix: dot products of the rows of A with the rows of B. Each thread reads its rows of B in
 * four streams, each a quarter of them: one stream keeps too few memory requests in flight, and short streams defeat the
 * hardware prefetchers. (Streams that end with each row of 384 numbers reached 0.6 times the speed, a single one 0.8 times.)
 */
import { GemmArguments } from '../generated/arguments';
import { BF16, F32, F16, Q8 } from '../generated/constants';
import { rowsTimesBlocks } from './gemv-blocks';
import { rowDot } from '../rows';
import { allocate } from '../scratch';
import { loadFour, loadNextFour, loadPartOf, shiftOf, widen } from '../storage';
import { loadPart, madd, putPart, sumFour } from '../vector';

/** Bytes of the sums of a row of A with four rows of one stream: a pair of vectors for each, as in `rowDot`. */
const STREAM: usize = 128;
/** Bytes of those of all four streams. */
const SUMS: usize = STREAM * 4;

/** c[m,n] (+)= Σ_k a[m,k]·b[n,k] + bias[n] for n in [from, to). */
export function rowsTimesTransposed(args: GemmArguments, from: i32, to: i32): void {
  if (args.bType == Q8) {
    rowsTimesBlocks(args, from, to);
    return;
  }
  const sums = allocate(SUMS * 2);
  const quarter = ((to - from) >> 4) << 2;
  fourStreams(args, from, quarter, sums);
  const rest = from + 4 * quarter;
  fourStreams(args, rest, (to - rest) >> 2, sums);
  const K = args.K;
  const ld = usize(K) << 2;
  const type = args.bType;
  const wide: usize = type == F32 ? 0 : allocate(ld);
  for (let n = to - ((to - rest) & 3); n < to; n++) {
    let row = args.b + (usize(K) << shiftOf(type)) * n;
    if (type != F32) {
      widen(wide, row, 0, K, type);
      row = wide;
    }
    for (let m = 0; m < args.M; m++) {
      let value = rowDot(args.a + ld * m, row, K);
      if (args.bias) value += load<f32>(args.bias + (usize(n) << 2));
      const at = args.c + ((usize(m) * args.N + n) << 2);
      store<f32>(at, args.accumulateC ? load<f32>(at) + value : value);
    }
  }
}

/**
 * Columns `from` + i, `from` + `length` + i, … of C for i < `length`, in four streams. Four rows of each stream at a time are
 * multiplied with all rows of A, two at a time.
 */
function fourStreams(args: GemmArguments, from: i32, length: i32, sums: usize): void {
  const K = args.K;
  const M = args.M;
  const ld = usize(K) << 2;
  const type = args.bType;
  const rowBytes = usize(K) << shiftOf(type);
  const apart = rowBytes * length;
  for (let i = 0; i < length; i += 4) {
    const count = min(4, length - i);
    const rows = args.b + rowBytes * (from + i);
    let m = 0;
    for (; m + 2 <= M; m += 2) {
      const a = args.a + ld * m;
      for (let r = 0; r < count; r++) {
        const b = rows + rowBytes * r;
        dotTwoByFour(a, b, apart, K, sums + (r << 5), type);
        if (K & 7) {
          dotRest(a, b, apart, K, sums + (r << 5), type);
          dotRest(a + ld, b, apart, K, sums + (r << 5) + SUMS, type);
        }
      }
      putSums(args, sums, m, from + i, length, count);
      putSums(args, sums + SUMS, m + 1, from + i, length, count);
    }
    if (m < M) {
      const a = args.a + ld * m;
      for (let r = 0; r < count; r++) {
        const b = rows + rowBytes * r;
        dotOneByFour(a, b, apart, K, sums + (r << 5), type);
        if (K & 7) dotRest(a, b, apart, K, sums + (r << 5), type);
      }
      putSums(args, sums, m, from + i, length, count);
    }
  }
}

/**
 * The dot products of a row with a row of each stream, `apart` bytes from one to the next, over the multiple of 8 in K. The
 * sums go to memory, and nothing else is done here: V8 makes 256-bit operations only of vectors that go straight from a loop to
 * adjacent stores.
 * @inline
 */
function oneByFour(a: usize, b: usize, apart: usize, K: i32, sums: usize, type: i32): void {
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
    e0 = madd(even, loadFour(b, type), e0);
    o0 = madd(odd, loadNextFour(b, type), o0);
    e1 = madd(even, loadFour(b + apart, type), e1);
    o1 = madd(odd, loadNextFour(b + apart, type), o1);
    e2 = madd(even, loadFour(b + apart * 2, type), e2);
    o2 = madd(odd, loadNextFour(b + apart * 2, type), o2);
    e3 = madd(even, loadFour(b + apart * 3, type), e3);
    o3 = madd(odd, loadNextFour(b + apart * 3, type), o3);
    a += 32;
    b += 8 << shiftOf(type);
  }
  storePair(sums, e0, o0);
  storePair(sums + STREAM * 1, e1, o1);
  storePair(sums + STREAM * 2, e2, o2);
  storePair(sums + STREAM * 3, e3, o3);
}

/** The same for two rows of A. Sums and operands fill the 16 vector registers. @inline */
function twoByFour(a: usize, b: usize, apart: usize, K: i32, sums: usize, type: i32): void {
  const ld = usize(K) << 2;
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
    const b0 = loadFour(b, type);
    const b1 = loadNextFour(b, type);
    e0 = madd(a0, b0, e0);
    o0 = madd(a1, b1, o0);
    f0 = madd(a2, b0, f0);
    p0 = madd(a3, b1, p0);
    const b2 = loadFour(b + apart, type);
    const b3 = loadNextFour(b + apart, type);
    e1 = madd(a0, b2, e1);
    o1 = madd(a1, b3, o1);
    f1 = madd(a2, b2, f1);
    p1 = madd(a3, b3, p1);
    const b4 = loadFour(b + apart * 2, type);
    const b5 = loadNextFour(b + apart * 2, type);
    e2 = madd(a0, b4, e2);
    o2 = madd(a1, b5, o2);
    f2 = madd(a2, b4, f2);
    p2 = madd(a3, b5, p2);
    const b6 = loadFour(b + apart * 3, type);
    const b7 = loadNextFour(b + apart * 3, type);
    e3 = madd(a0, b6, e3);
    o3 = madd(a1, b7, o3);
    f3 = madd(a2, b6, f3);
    p3 = madd(a3, b7, p3);
    a += 32;
    b += 8 << shiftOf(type);
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

/** One function per type: Binaryen would merge calls within one function into a single call that tests the type. */
function oneByFourF32(a: usize, b: usize, apart: usize, K: i32, sums: usize): void {
  oneByFour(a, b, apart, K, sums, F32);
}

function oneByFourBf16(a: usize, b: usize, apart: usize, K: i32, sums: usize): void {
  oneByFour(a, b, apart, K, sums, BF16);
}

function oneByFourF16(a: usize, b: usize, apart: usize, K: i32, sums: usize): void {
  oneByFour(a, b, apart, K, sums, F16);
}

function twoByFourF32(a: usize, b: usize, apart: usize, K: i32, sums: usize): void {
  twoByFour(a, b, apart, K, sums, F32);
}

function twoByFourBf16(a: usize, b: usize, apart: usize, K: i32, sums: usize): void {
  twoByFour(a, b, apart, K, sums, BF16);
}

function twoByFourF16(a: usize, b: usize, apart: usize, K: i32, sums: usize): void {
  twoByFour(a, b, apart, K, sums, F16);
}

/** @inline */
function dotOneByFour(a: usize, b: usize, apart: usize, K: i32, sums: usize, type: i32): void {
  if (type == F32) oneByFourF32(a, b, apart, K, sums);
  else if (type == BF16) oneByFourBf16(a, b, apart, K, sums);
  else oneByFourF16(a, b, apart, K, sums);
}

/** @inline */
function dotTwoByFour(a: usize, b: usize, apart: usize, K: i32, sums: usize, type: i32): void {
  if (type == F32) twoByFourF32(a, b, apart, K, sums);
  else if (type == BF16) twoByFourBf16(a, b, apart, K, sums);
  else twoByFourF16(a, b, apart, K, sums);
}

/** @inline */
function storePair(sums: usize, even: v128, odd: v128): void {
  v128.store(sums, odd, 16);
  v128.store(sums, even);
}

/** Adds the last K mod 8 products to the even sums of a row with a row of each stream. */
function dotRest(a: usize, b: usize, apart: usize, K: i32, sums: usize, type: i32): void {
  for (let k = K & ~7; k < K; k += 4) {
    const x = loadPart(a + (usize(k) << 2), K - k);
    for (let r: usize = 0; r < 4; r++) {
      const sum = sums + STREAM * r;
      const y = loadPartOf(b + apart * r + (usize(k) << shiftOf(type)), K - k, type);
      v128.store(sum, madd(x, y, v128.load(sum)));
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
