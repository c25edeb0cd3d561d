/**
 * The matrix product, split as BLIS does (Van Zee & van de Geijn 2015) into blocks of k, KC deep, and panels that the
 * micro-kernel reads from the first-level cache. Bias and the sum with what C holds are done as a tile leaves the registers.
 *
 * Two ways to share the work, whichever packs less:
 *   shared   all threads together pack a block of B, KC deep and NC wide, and of A if it is transposed; otherwise each packs
 *            blocks of A, MC high, for itself
 *   wide     for few rows and many columns: each thread takes columns, packs all rows of A for itself and a panel of B just
 *            before it uses it, so that it is still in the first-level cache; nobody waits for anybody
 *
 * Threads split C: by rows, or by columns, and help each other with what is left. No sum over k is ever split, and blocks of k follow from K alone, so the bits do
 * not depend on the number of threads.
 * Error: that of a sum of K products in order, at most K·2⁻²⁴ relative to Σ|a·b|.
 */
import { scratch, sharedScratch, SHARED_SCRATCH } from '../scratch';
import { barrier, ownerInTurn, share, take } from '../threads';
import { macroKernel } from './macro-kernel';
import { packColumns, packRows, panels, panelStride } from './pack';
import { matrixTimesFewRows } from './few-rows';

/**
 * A panel of B, KC·NR·4 B = 24 KiB, is half of Zen 5's first-level cache; a block of A, MC·KC·4 B = 72 KiB, a
 * seventh of Zen 3's second. Small blocks also let threads help each other. */
const KC = 384;
const MC = 48;
const NC = 4096;
/** Room for packed B: at least a block of it, KC deep and NC wide, with what is between its panels. There are two of these. */
const ROOM_FOR_B: usize = 6656 << 10;
/** Room for packed A, where it is packed together, behind each. */
const ROOM_FOR_A: usize = SHARED_SCRATCH / 2 - ROOM_FOR_B;
/** At most so many rows go the wide way: packed, they take WIDE·KC·4 B = 384 KiB. */
const WIDE = 256;
/** Below this, packing B costs more than it saves: every number of B would be used only a few times. */
const FEW_ROWS = 4;
/** The same where B is stored transposed, so that its columns are read from end to end; generate/decoder.ts relies on it. */
const FEW_ROWS_TRANSPOSED = 16;

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
  else if (M <= WIDE && N >= 2 * M && N >= 4 * NR * threads)
    wide(thread, threads, a, b, bias, c, accumulate, M, N, K, transA, transB);
  else shared(thread, threads, a, b, bias, c, accumulate, M, N, K, transA, transB);
}

/** Depth of the blocks of k: equal, so that 400 becomes 2 × 200, not 384 + 16. */
function blockDepth(K: i32): i32 {
  return panels(K, panels(K, KC));
}

/** Panels `from` … `to` − 1 of rows of op(A), or of columns of op(B), which start at `src`; `across`: its rows run along k. */
// @ts-ignore: decorator
@inline
function pack(across: bool, dst: usize, src: usize, ld: usize, count: i32, k: i32, R: i32, from: i32, to: i32): void {
  if (across) packRows(dst, panelStride(R, k), src, ld, count, k, R, from, to);
  else packColumns(dst, panelStride(R, k), src, ld, count, k, R, from, to);
}

function wide(
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
  const lda = usize(transA ? M : K) << 2;
  const ldb = usize(transB ? K : N) << 2;
  const ldc = usize(N) << 2;
  const kc = blockDepth(K);
  const mPanels = panels(M, MR);
  const tile = scratch(thread);
  const packedA = tile + 4096;
  const packedB = packedA + panelStride(MR, kc) * mPanels;
  const from = share(N, NR, thread, threads);
  const to = share(N, NR, thread + 1, threads);
  for (let p = 0; p < K; p += kc) {
    const k = min(kc, K - p);
    const add = p > 0 ? 1 : accumulate;
    pack(!transA, packedA, a + (transA ? lda * p : usize(p) << 2), lda, M, k, MR, 0, mPanels);
    for (let j = from; j < to; j += NR) {
      const n = min(NR, to - j);
      const source = transB ? b + ldb * j + (usize(p) << 2) : b + ldb * p + (usize(j) << 2);
      pack(transB != 0, packedB, source, ldb, n, k, NR, 0, 1);
      const biasHere = bias && p == 0 ? bias + (usize(j) << 2) : 0;
      macroKernel(packedA, panelStride(MR, k), packedB, 0, c + (usize(j) << 2), ldc, biasHere, add, M, n, k, tile);
    }
  }
}

function shared(
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
  const lda = usize(transA ? M : K) << 2;
  const ldb = usize(transB ? K : N) << 2;
  const ldc = usize(N) << 2;
  const tile = scratch(thread);
  const packedA = tile + 4096;
  const kc = blockDepth(K);

  const mPanels = panels(M, MR);
  const byRows = mPanels >= 2 * threads || M >= N;
  // Where the rows of the stored A run along M, packing them from end to end reads memory as it likes to be read.
  const blockA = panelStride(MR, kc) * mPanels;
  const packsAllA = transA && blockA <= ROOM_FOR_A;

  let round = 0;
  for (let j = 0; j < N; j += NC) {
    const n = min(NC, N - j);
    const nPanels = panels(n, NR);
    const blockB = panelStride(NR, kc) * nPanels;
    // Several blocks of k in a round, if there is room for them: then a block of C stays in the cache while all are added.
    let depth = kc * max(1, i32(ROOM_FOR_B / blockB));
    if (packsAllA) depth = min(depth, kc * i32(ROOM_FOR_A / blockA));
    for (let from = 0; from < K; from += depth) {
      const to = min(K, from + depth);
      // Rounds alternate between two halves, so that one barrier a round is enough: whoever packs into a half has passed
      // the barrier behind which everybody was done with it.
      const packedB = sharedScratch() + (round & 1 ? SHARED_SCRATCH / 2 : 0);
      const allA = packedB + ROOM_FOR_B;
      round++;
      for (let p = from, at: usize = 0; p < to; p += kc, at++) {
        const k = min(kc, K - p);
        const source = transB ? b + ldb * j + (usize(p) << 2) : b + ldb * p + (usize(j) << 2);
        const first = share(nPanels, 1, thread, threads);
        pack(transB != 0, packedB + blockB * at, source, ldb, n, k, NR, first, share(nPanels, 1, thread + 1, threads));
        if (packsAllA) {
          const firstA = share(mPanels, 1, thread, threads);
          const endA = share(mPanels, 1, thread + 1, threads);
          packColumns(allA + blockA * at, panelStride(MR, k), a + lda * p, lda, M, k, MR, firstA, endA);
        }
      }
      barrier(threads);

      for (let turn = 0; turn < threads; turn++) {
        const owner = ownerInTurn(turn, thread, threads);
        const mFrom = byRows ? share(M, MR, owner, threads) : 0;
        const mTo = byRows ? share(M, MR, owner + 1, threads) : M;
        const nFrom = byRows ? 0 : share(n, NR, owner, threads);
        const nTo = byRows ? n : share(n, NR, owner + 1, threads);
        if (nFrom == nTo) continue;
        const mc = evenHeight(mTo - mFrom);
        for (let i = mFrom + mc * take(owner); i < mTo; i = mFrom + mc * take(owner)) {
          const m = min(mc, mTo - i);
          const pc = c + ldc * i + (usize(j + nFrom) << 2);
          for (let p = from, at: usize = 0; p < to; p += kc, at++) {
            const k = min(kc, K - p);
            const strideA = panelStride(MR, k);
            let pa = allA + blockA * at + strideA * (i / MR);
            if (!packsAllA) {
              pa = packedA;
              const rows = transA ? a + lda * p + (usize(i) << 2) : a + lda * i + (usize(p) << 2);
              pack(!transA, pa, rows, lda, m, k, MR, 0, panels(m, MR));
            }
            const strideB = panelStride(NR, k);
            const pb = packedB + blockB * at + strideB * (nFrom / NR);
            const biasHere = bias && p == 0 ? bias + (usize(j + nFrom) << 2) : 0;
            macroKernel(pa, strideA, pb, strideB, pc, ldc, biasHere, p > 0 ? 1 : accumulate, m, nTo - nFrom, k, tile);
          }
        }
      }
    }
  }
}

/** Height of the blocks of A: as even as they come in whole panels, so that 64 becomes 36 + 28, not 48 + 16. */
function evenHeight(rows: i32): i32 {
  const blocks = max(1, panels(rows, MC));
  return max(1, panels(panels(rows, blocks), MR)) * MR;
}
