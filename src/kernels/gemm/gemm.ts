/**
 * The matrix product, split as BLIS does (Van Zee & van de Geijn 2015) into blocks of k, at most KC deep, and panels that the
 * micro-kernel reads from the first-level cache. Bias and the sum with what C holds are done as a tile leaves the registers.
 *
 * Threads split C: its rows if there are more of them than columns, otherwise its columns. The operand that all need whole, op(B)
 * or op(A), the smaller one, they pack together; the other each packs for itself in small blocks, which are still in its
 * second-level cache when they are used. (A large operand packed as a whole would go out to memory and come back.)
 * Whoever is done helps the others. No sum over k is ever split, and the blocks of k follow from K alone, so the bits do not
 * depend on the number of threads.
 * Error: that of a sum of K products in order, at most K·2⁻²⁴ relative to Σ|a·b|.
 */
import { scratch, SHARED_HALF, sharedHalf } from '../scratch';
import { barrier, ownerInTurn, share, take } from '../threads';
import { loadPart, storePart } from '../vector';
import { matrixTimesFewRows } from './few-rows';
import { macroKernel } from './macro-kernel';
import { packColumns, packRows, panels, panelStride } from './pack';

/** Depth of a block: a panel of B, KC·NR·4 B = 24 KiB, is half of Zen 5's first-level cache, three quarters of Zen 3's. */
const KC = 384;
/** Rows of a block of A: MC·KC·4 B = 72 KiB, a seventh of Zen 3's second-level cache. Small blocks also share out evenly. */
const MC = 48;
/** The same of a transposed A, whose rows are read across: more of each at a time. */
const MC_TRANSPOSED = 72;
/** Columns of a block of B that a thread packs for itself: 96 KiB. */
const NC = 64;
/** Columns of B, or rows of A, that are packed together. */
const TOGETHER = 2048;
/** Below this, packing B costs more than it saves: every number of B would be used only a few times. */
const FEW_ROWS = 4;
/** The same where B is stored transposed, so that its columns are read from end to end; generate/decoder.ts relies on it. */
const FEW_ROWS_TRANSPOSED = 16;

/** C[M,N] (+)= op(A)·op(B) + bias for M, N, K ≥ 1. */
export function gemm(
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
  transA: i32,
  transB: i32,
): void {
  if (!transA && M <= (transB ? FEW_ROWS_TRANSPOSED : FEW_ROWS))
    matrixTimesFewRows(thread, threads, a, b, bias, c, accumulate, M, N, K, transB);
  else blocked(thread, threads, a, b, bias, c, accumulate, M, N, K, transA, transB, 0, 0);
}

/** dWeight[K,N] (+)= xᵀ·dY, dBias[N] (+)= Σ_m dY[m,:]: the columns of dY are added up as they are packed. */
export function linearParametersBackward(
  thread: i32,
  threads: i32,
  x: usize,
  dY: usize,
  dWeight: usize,
  accumulateWeight: i32,
  dBias: usize,
  accumulateBias: i32,
  M: i32,
  N: i32,
  K: i32,
): void {
  blocked(thread, threads, x, dY, 0, dWeight, accumulateWeight, K, N, M, 1, 0, dBias, accumulateBias);
}

/** The product, and, if `sums` is not 0, the sums of op(B)'s columns: sums[N] (+)= Σ_k op(B)[k,:]. @inline */
function blocked(
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
  transA: i32,
  transB: i32,
  sums: usize,
  accumulateSums: i32,
): void {
  if (M > N)
    byRows(thread, threads, a, b, bias, c, accumulate, M, N, K, transA, transB, sums, accumulateSums);
  else byColumns(thread, threads, a, b, bias, c, accumulate, M, N, K, transA, transB, sums, accumulateSums);
}

function byRows(
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
  transA: i32,
  transB: i32,
  sums: usize,
  accumulateSums: i32,
): void {
  const ldc = usize(N) << 2;
  const kc = blockDepth(K);
  const spare = scratch(thread);
  const packedA = spare + 4096;
  let round = 0;
  for (let j = 0; j < N; j += TOGETHER) {
    const n = min(TOGETHER, N - j);
    const nPanels = panels(n, NR);
    const first = share(nPanels, 1, thread, threads);
    const end = share(nPanels, 1, thread + 1, threads);
    const blockB = panelStride(NR, kc) * nPanels;
    const depth = transA ? kc : roundDepth(kc, blockB);
    for (let from = 0; from < K; from += depth) {
      const to = min(K, from + depth);
      const packedB = sharedHalf(round++);
      for (let p = from; p < to; p += kc) {
        const k = min(kc, K - p);
        const block = packedB + blockB * ((p - from) / kc);
        packB(block, b, N, K, transB, j, n, p, k, first, end);
        if (sums) sumColumns(sums + (usize(j) << 2), p > 0 ? 1 : accumulateSums, block, n, k, first, end);
      }
      barrier(threads);
      for (let turn = 0; turn < threads; turn++) {
        const owner = ownerInTurn(turn, thread, threads);
        const top = share(M, MR, owner, threads);
        const bottom = share(M, MR, owner + 1, threads);
        const mc = evenHeight(bottom - top, transA ? MC_TRANSPOSED : MC);
        for (let i = top + mc * take(owner); i < bottom; i = top + mc * take(owner)) {
          const m = min(mc, bottom - i);
          const pc = c + ldc * i + (usize(j) << 2);
          for (let p = from; p < to; p += kc) {
            const k = min(kc, K - p);
            packA(packedA, a, M, K, transA, i, m, p, k, 0, panels(m, MR));
            const pb = packedB + blockB * ((p - from) / kc);
            const biasHere = bias && p == 0 ? bias + (usize(j) << 2) : 0;
            const add = p > 0 ? 1 : accumulate;
            macroKernel(
              packedA,
              panelStride(MR, k),
              pb,
              panelStride(NR, k),
              pc,
              ldc,
              biasHere,
              add,
              m,
              n,
              k,
              spare,
            );
          }
        }
      }
    }
  }
}

function byColumns(
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
  transA: i32,
  transB: i32,
  sums: usize,
  accumulateSums: i32,
): void {
  const ldc = usize(N) << 2;
  const kc = blockDepth(K);
  const spare = scratch(thread);
  const packedB = spare + 4096;
  let round = 0;
  for (let i = 0; i < M; i += TOGETHER) {
    const m = min(TOGETHER, M - i);
    const mc = evenHeight(m, MC);
    const mPanels = panels(m, MR);
    const first = share(mPanels, 1, thread, threads);
    const end = share(mPanels, 1, thread + 1, threads);
    for (let p = 0; p < K; p += kc) {
      const k = min(kc, K - p);
      const strideA = panelStride(MR, k);
      const strideB = panelStride(NR, k);
      const add = p > 0 ? 1 : accumulate;
      const packedA = sharedHalf(round++);
      packA(packedA, a, M, K, transA, i, m, p, k, first, end);
      barrier(threads);
      for (let turn = 0; turn < threads; turn++) {
        const owner = ownerInTurn(turn, thread, threads);
        const left = share(N, NR, owner, threads);
        const right = share(N, NR, owner + 1, threads);
        for (let j = left + NC * take(owner); j < right; j = left + NC * take(owner)) {
          const n = min(NC, right - j);
          const pc = c + ldc * i + (usize(j) << 2);
          const biasHere = bias && p == 0 ? bias + (usize(j) << 2) : 0;
          packB(packedB, b, N, K, transB, j, n, p, k, 0, panels(n, NR));
          if (sums && i == 0)
            sumColumns(sums + (usize(j) << 2), p > 0 ? 1 : accumulateSums, packedB, n, k, 0, panels(n, NR));
          for (let r = 0; r < m; r += mc) {
            const pa = packedA + strideA * (r / MR);
            macroKernel(
              pa,
              strideA,
              packedB,
              strideB,
              pc + ldc * r,
              ldc,
              biasHere,
              add,
              min(mc, m - r),
              n,
              k,
              spare,
            );
          }
        }
      }
    }
  }
}

/** Panels `first` … `end` − 1 of rows i … i + m − 1 of op(A), columns p … p + k − 1. */
function packA(
  dst: usize,
  a: usize,
  M: i32,
  K: i32,
  transA: i32,
  i: i32,
  m: i32,
  p: i32,
  k: i32,
  first: i32,
  end: i32,
): void {
  const ld = usize(transA ? M : K) << 2;
  if (transA) packColumns(dst, panelStride(MR, k), a + ld * p + (usize(i) << 2), ld, m, k, MR, first, end);
  else packRows(dst, panelStride(MR, k), a + ld * i + (usize(p) << 2), ld, m, k, MR, first, end);
}

/** Panels `first` … `end` − 1 of columns j … j + n − 1 of op(B), rows p … p + k − 1. */
function packB(
  dst: usize,
  b: usize,
  N: i32,
  K: i32,
  transB: i32,
  j: i32,
  n: i32,
  p: i32,
  k: i32,
  first: i32,
  end: i32,
): void {
  const ld = usize(transB ? K : N) << 2;
  if (transB) packRows(dst, panelStride(NR, k), b + ld * j + (usize(p) << 2), ld, n, k, NR, first, end);
  else packColumns(dst, panelStride(NR, k), b + ld * p + (usize(j) << 2), ld, n, k, NR, first, end);
}

/** sums[n] (+)= Σ_k of the columns of a packed block of op(B), in order of k: those of panels `first` … `end` − 1. */
function sumColumns(sums: usize, accumulate: i32, block: usize, n: i32, k: i32, first: i32, end: i32): void {
  for (let panel = first; panel < end; panel++)
    for (let lane = 0; lane < NR; lane += 8) {
      const column = panel * NR + lane;
      const rest = n - column;
      if (rest <= 0) return;
      let p = block + panelStride(NR, k) * panel + (lane << 2);
      const to = sums + (usize(column) << 2);
      let low = accumulate ? loadPart(to, rest) : f32x4.splat(0);
      let high = accumulate && rest > 4 ? loadPart(to + 16, rest - 4) : f32x4.splat(0);
      for (let i = 0; i < k; i++) {
        low = f32x4.add(low, v128.load(p));
        high = f32x4.add(high, v128.load(p, 16));
        p += NR << 2;
      }
      storePart(to, low, rest);
      if (rest > 4) storePart(to + 16, high, rest - 4);
    }
}

/** Depth of the blocks of k: equal, so that 400 becomes 2 × 200, not 384 + 16. */
function blockDepth(K: i32): i32 {
  return panels(K, panels(K, KC));
}

/**
 * Depth of what is packed between two meetings: as many blocks of so many bytes as there is room for, so that a block of C stays
 * in the cache while all of them are added.
 */
function roundDepth(kc: i32, bytes: usize): i32 {
  // Room for one: of each row or column KC numbers, and its share in up to 128 bytes between panels of MR ≥ 4.
  if (SHARED_SCRATCH / 2 < TOGETHER * (KC * 4 + 32))
    ERROR('SHARED_SCRATCH holds no block of TOGETHER·KC numbers');
  return kc * i32(SHARED_HALF / bytes);
}

/** Height of the blocks of A: as even as they come in whole panels, so that 64 becomes 36 + 28, not 48 + 16. */
function evenHeight(rows: i32, most: i32): i32 {
  return max(1, panels(panels(rows, max(1, panels(rows, most))), MR)) * MR;
}
