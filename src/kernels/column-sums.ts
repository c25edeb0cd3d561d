/** Sums over rows: the gradient of a bias. Threads split the columns, so each sum is in order of the rows. */
import { ColumnSumsArguments } from './generated/arguments';
import { sliceEnd, sliceStart } from './threads';
import { FLOATS_PER_LINE, loadPart, storePart } from './vector';

export function columnSums(args: ColumnSumsArguments): void {
  addColumns(args.x, args.M, args.N, args.sums, args.accumulateSums);
}

/** This thread's slice of sums[N] (+)= Σ_m x[m,:], for x [M,N]. */
export function addColumns(x: usize, M: i32, N: i32, sums: usize, accumulate: i32): void {
  const from = sliceStart(N, FLOATS_PER_LINE);
  const end = sliceEnd(N, FLOATS_PER_LINE);
  if (from == end) return;
  if (!accumulate) memory.fill(sums + (usize(from) << 2), 0, usize(end - from) << 2);
  for (let m = 0; m < M; m++) addRow(sums, x + ((usize(m) * N) << 2), from, end);
}

/** sums[n] += row[n] for n in [from, end). */
export function addRow(sums: usize, row: usize, from: i32, end: i32): void {
  let n = from;
  for (; n + 8 <= end; n += 8) {
    const at = usize(n) << 2;
    const low = f32x4.add(v128.load(sums + at), v128.load(row + at));
    const high = f32x4.add(v128.load(sums + at, 16), v128.load(row + at, 16));
    v128.store(sums + at, high, 16);
    v128.store(sums + at, low);
  }
  for (; n < end; n += 4) {
    const at = usize(n) << 2;
    storePart(sums + at, f32x4.add(loadPart(sums + at, end - n), loadPart(row + at, end - n)), end - n);
  }
}
