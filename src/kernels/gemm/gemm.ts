/**
 * The matrix product, split as BLIS does (Van Zee & van de Geijn 2015): blocks of B, KC deep and NC wide, are packed by all
 * threads together into shared memory; each thread packs blocks of A, MC high, for itself, and multiplies. Bias and the
 * sum with what C holds are done as a tile leaves the registers.
 *
 * Threads split C: by rows, or by columns where there are few rows. No sum over k is ever split, and blocks of k follow
 * from K alone, so the bits do not depend on the number of threads.
 * Error: that of a sum of K products in order, at most K·2⁻²⁴ relative to Σ|a·b|.
 */
import { scratch, sharedScratch, SHARED_SCRATCH } from '../scratch';
import { barrier, share } from '../threads';
import { macroKernel } from './macro-kernel';
import { packColumns, packRows } from './pack';
import { matrixTimesFewRows } from './few-rows';

/** A block of A is MC·KC·4 B = 96 KiB, an eighth of Zen 5's second-level cache; a panel of B, KC·NR·4 B = 16 KiB, a third of the first. */
const KC = 256;
const MC = 96;
/** Two blocks of B take KC·NC·8 B = 8 MiB of the shared memory. */
const NC = 4096;
/** Below this, packing B costs more than it saves: every number of B would be used only a few times. */
const FEW_ROWS = 4;

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
  if (M <= FEW_ROWS && !transA) {
    matrixTimesFewRows(thread, threads, a, b, bias, c, accumulate, M, N, K, transB);
    return;
  }
  const lda = usize(transA ? M : K) << 2;
  const ldb = usize(transB ? K : N) << 2;
  const ldc = usize(N) << 2;
  const tile = scratch(thread);
  const packedA = tile + 4096;
  const kBlocks = (K + KC - 1) / KC;
  const kc = (K + kBlocks - 1) / kBlocks; // of equal depth: 384 becomes 2 × 192, not 256 + 128

  const byRows = (M + MR - 1) / MR >= 2 * threads || M >= N;
  const mFrom = byRows ? share(M, MR, thread, threads) : 0;
  const mTo = byRows ? share(M, MR, thread + 1, threads) : M;

  let block = 0;
  for (let j = 0; j < N; j += NC) {
    const n = min(NC, N - j);
    const panels = (n + NR - 1) / NR;
    const nFrom = byRows ? 0 : share(n, NR, thread, threads);
    const nTo = byRows ? n : share(n, NR, thread + 1, threads);
    for (let p = 0; p < K; p += kc) {
      const k = min(kc, K - p);
      // Blocks alternate between two halves, so that one barrier a block is enough: whoever packs into a half has passed
      // the barrier behind which everybody was done with it.
      const packedB = sharedScratch() + (block & 1 ? SHARED_SCRATCH / 2 : 0);
      block++;
      const from = share(panels, 1, thread, threads);
      const to = share(panels, 1, thread + 1, threads);
      if (transB) packRows(packedB, b + ldb * j + (usize(p) << 2), ldb, n, k, NR, from, to);
      else packColumns(packedB, b + ldb * p + (usize(j) << 2), ldb, n, k, NR, from, to);
      barrier(threads);

      const add = p > 0 ? 1 : accumulate;
      const biasHere = bias && p == 0 ? bias + (usize(j + nFrom) << 2) : 0;
      const pb = packedB + ((usize(nFrom) * k) << 2);
      for (let i = mFrom; i < mTo; i += MC) {
        const m = min(MC, mTo - i);
        const mPanels = (m + MR - 1) / MR;
        if (transA) packColumns(packedA, a + lda * p + (usize(i) << 2), lda, m, k, MR, 0, mPanels);
        else packRows(packedA, a + lda * i + (usize(p) << 2), lda, m, k, MR, 0, mPanels);
        const pc = c + ldc * i + (usize(j + nFrom) << 2);
        macroKernel(packedA, pb, pc, ldc, biasHere, add, m, nTo - nFrom, k, tile);
      }
    }
  }
}
