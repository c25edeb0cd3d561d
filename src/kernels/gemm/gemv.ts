/**
 * GEMM with few rows, as in a decode step of one or several sequences. Every number of B is used only a few times, so the
 * kernel is bound by memory bandwidth. Nothing is packed, and each thread reads B in long contiguous streams that hardware
 * prefetchers follow: with columns split over two threads, each jumping from row to row, a matrix larger than the caches took
 * 1.4 times as long.
 *
 * The bits of a row do not depend on other rows: decoding a sequence in a batch is bit-identical to decoding it alone.
 */
import { barrier } from '../barrier';
import { GemmArguments } from '../generated/arguments';
import { F32, SHARED_SCRATCH } from '../generated/constants';
import { allocate, sharedScratch } from '../scratch';
import { rowBytesOf, widen } from '../storage';
import { sliceEnd, sliceStart, thread, threads } from '../threads';
import { FLOATS_PER_LINE, loadPart, madd, putPart } from '../vector';
import { rowsTimesTransposed } from './gemv-transposed';

/** Above this many elements B is assumed not to fit in L2: 1 MiB. */
const LARGE = 1 << 18;
/** Row slices of a large B, each with its own sums. Their number is fixed, as it determines the bits of the result. */
const SLICES = 8;
/** Columns that are summed at a time: their sums stay in L1. */
const WIDTH = 2048;
/** Columns of a large B that are summed at a time: all of them, unless their sums exceed the shared scratch memory. */
const SLICED_WIDTH: i32 = i32(SHARED_SCRATCH / (SLICES * sizeof<f32>()));

/** Rows of a B that is not float32, widened. */
let wideRows: usize = 0;

export function matrixTimesFewRows(args: GemmArguments): void {
  const N = args.N;
  const K = args.K;
  const from = sliceStart(N, FLOATS_PER_LINE);
  const to = sliceEnd(N, FLOATS_PER_LINE);
  if (args.transB) {
    rowsTimesTransposed(args, from, to);
    return;
  }
  const isLarge = i64(N) * K >= LARGE;
  const sums = allocate((WIDTH + 4) << 2);
  wideRows = args.bType == F32 ? 0 : allocate(max(4 * WIDTH, SLICED_WIDTH) << 2);
  for (let m = 0; m < args.M; m++) {
    const a = args.a + ((usize(m) * K) << 2);
    const c = args.c + ((usize(m) * N) << 2);
    if (isLarge) {
      for (let start = 0; start < N; start += SLICED_WIDTH) {
        const width = min(SLICED_WIDTH, N - start);
        if (m > 0 || start > 0) barrier(); // all threads have read the previous sums
        sumSlices(args, a, start, width);
        barrier();
        addSlices(args, c, start, width);
      }
    } else if (from < to) weightedRows(args, a, c, from, to, sums);
  }
}

/** c[n] (+)= Σ_k a[k]·b[k,n] + bias[n] for n in [from, to): four rows of B at a time are added to the sums. */
function weightedRows(args: GemmArguments, a: usize, c: usize, from: i32, to: i32, sums: usize): void {
  for (let start = from; start < to; start += WIDTH) {
    const width = min(WIDTH, to - start);
    memory.fill(sums, 0, usize(width + 4) << 2);
    addWeightedRows(args, a, start, width, sums);
    for (let n = 0; n < width; n += 4) {
      let sum = v128.load(sums + (n << 2));
      if (args.bias) sum = f32x4.add(sum, loadPart(args.bias + (usize(start + n) << 2), width - n));
      putPart(c + (usize(start + n) << 2), sum, width - n, args.accumulateC);
    }
  }
}

/** sums[n] += Σ_k a[k]·b[k, start + n] for n < width. */
function addWeightedRows(args: GemmArguments, a: usize, start: i32, width: i32, sums: usize): void {
  const K = args.K;
  const type = args.bType;
  const rowBytes = rowBytesOf(args.N, type);
  const ld = type == F32 ? rowBytes : usize(WIDTH) << 2;
  let k = 0;
  for (; k + 4 <= K; k += 4) {
    const a0 = v128.load32_splat(a + (usize(k) << 2));
    const a1 = v128.load32_splat(a + (usize(k) << 2), 4);
    const a2 = v128.load32_splat(a + (usize(k) << 2), 8);
    const a3 = v128.load32_splat(a + (usize(k) << 2), 12);
    let row = args.b + rowBytes * k;
    if (type == F32) row += usize(start) << 2;
    else {
      for (let r = 0; r < 4; r++) widen(wideRows + ld * r, row + rowBytes * r, start, width, type);
      row = wideRows;
    }
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
    let row = args.b + rowBytes * k;
    if (type == F32) row += usize(start) << 2;
    else {
      widen(wideRows, row, start, width, type);
      row = wideRows;
    }
    for (let n = 0; n < width; n += 4) {
      const sum = madd(weight, loadPart(row + (n << 2), width - n), v128.load(sums + (n << 2)));
      v128.store(sums + (n << 2), sum);
    }
  }
}

/**
 * The sums over each slice of rows of B, for columns start … start + width − 1, one slice after the other in shared scratch
 * memory. More threads than slices split each slice by columns.
 */
function sumSlices(args: GemmArguments, a: usize, start: i32, width: i32): void {
  const K = args.K;
  const type = args.bType;
  const ld = rowBytesOf(args.N, type);
  const team = max(1, threads / SLICES); // threads for each slice
  const teams = min(threads, SLICES);
  const index = thread / team;
  if (index >= teams) return;
  const from = sliceStart(width, FLOATS_PER_LINE, thread % team, team);
  const to = sliceEnd(width, FLOATS_PER_LINE, thread % team, team);
  const last = sliceEnd(SLICES, 1, index, teams);
  for (let slice = sliceStart(SLICES, 1, index, teams); slice < last; slice++) {
    const sums = sharedScratch() + sliceBytes(width) * slice;
    memory.fill(sums + (usize(from) << 2), 0, usize(to - from) << 2);
    const end = sliceEnd(K, 1, slice, SLICES);
    for (let k = sliceStart(K, 1, slice, SLICES); k < end; k++) {
      let row = args.b + ld * k;
      if (type == F32) row += usize(start) << 2;
      else {
        if (from < to) widen(wideRows + (usize(from) << 2), row, start + from, to - from, type);
        row = wideRows;
      }
      addRow(load<f32>(a + (usize(k) << 2)), row, sums, from, to);
    }
  }
}

/** Bytes of the sums of a slice. @inline */
function sliceBytes(width: i32): usize {
  return usize((width + 15) & ~15) << 2;
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

/** c[start + n] (+)= Σ of the slices + bias[start + n] for n in this thread's slice of `width` columns. */
function addSlices(args: GemmArguments, c: usize, start: i32, width: i32): void {
  const from = sliceStart(width, FLOATS_PER_LINE);
  const to = sliceEnd(width, FLOATS_PER_LINE);
  const bytes = sliceBytes(width);
  const y = c + (usize(start) << 2);
  const bias = args.bias ? args.bias + (usize(start) << 2) : 0;
  for (let n = from; n < to; n += 4) {
    const at = sharedScratch() + (usize(n) << 2);
    let sum = v128.load(at);
    for (let slice = 1; slice < SLICES; slice++) sum = f32x4.add(sum, v128.load(at + bytes * slice));
    if (bias) sum = f32x4.add(sum, loadPart(bias + (usize(n) << 2), to - n));
    putPart(y + (usize(n) << 2), sum, to - n, args.accumulateC);
  }
}
