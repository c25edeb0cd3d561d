/** Multiplies one chunk of a GEMM: packs a block of the thread's own operand, then multiplies it by the other, already packed one. */
import { MR, NR } from '../generated/constants';
import { loadPart, storePart } from '../vector';
import { macroKernel } from './macro-kernel';
import { panels, panelStride } from './pack';
import { pack, Product, Round } from './product';

/** Rows in a block of A: MC·KC·4 B = 72 KiB, a seventh of Zen 3's L2. Small blocks also divide evenly among threads. */
const MC = 48;
/** MC for a transposed A, whose rows in memory run across the block: a taller block reads longer pieces of each. */
const MC_TRANSPOSED = 72;
/** Columns in a block of B that a thread packs for itself: 96 KiB. */
const NC = 64;
/** NC for a lower triangle, whose first columns are the longest: small enough to balance the threads. */
const NC_LOWER = 2 * NR;

/** Maximum number of vectors in a chunk of a thread's own operand. */
export function maxChunkSize(product: Product): i32 {
  return product.sharesB ? MC_TRANSPOSED : NC;
}

/** Number of vectors in each chunk of a slice of `count` vectors of a thread's own operand. */
export function chunkSize(product: Product, count: i32): i32 {
  if (product.sharesB) return evenHeight(count, product.own.isContiguous ? MC : MC_TRANSPOSED);
  return product.isLower ? NC_LOWER : NC;
}

/** Multiplies vectors `first` … `first` + `count` − 1 of a thread's own operand by the shared one, packed in `round`. */
export function multiplyChunk(product: Product, round: Round, first: i32, count: i32): void {
  const packedOwn = product.packedOwn;
  const block = product.block;
  let packedShared = round.packed;
  for (let p = round.from; p < round.to; p += product.blockDepth) {
    const k = min(product.blockDepth, round.to - p);
    pack(packedOwn, product.own, first, count, p, k);
    block.p = p;
    block.k = k;
    if (product.sharesB) {
      block.row = first;
      block.rows = count;
      block.column = round.first;
      block.columns = round.count;
      macroKernel(product, block, packedOwn, packedShared);
    } else {
      if (product.sums && round.first == 0) sumColumns(product, packedOwn, first, count, p, k);
      block.column = first;
      block.columns = count;
      const rows = evenHeight(round.count, MC);
      for (let i = 0; i < round.count; i += rows) {
        block.row = round.first + i;
        block.rows = min(rows, round.count - i);
        macroKernel(product, block, packedShared + panelStride(MR, k) * (i / MR), packedOwn);
      }
    }
    packedShared += round.blockBytes;
  }
}

/** Adds packed columns first … first + n − 1 of op(B) to the sums, in order of k; products with sums are never split. */
export function sumColumns(product: Product, packed: usize, first: i32, n: i32, p: i32, k: i32): void {
  const accumulate = p > 0 ? 1 : product.accumulateSums;
  const sums = product.sums + (usize(first) << 2);
  for (let column = 0; column < n; column += 8) {
    const rest = n - column;
    let at = packed + panelStride(NR, k) * (column / NR) + ((column % NR) << 2);
    const to = sums + (usize(column) << 2);
    let low = accumulate ? loadPart(to, rest) : f32x4.splat(0);
    let high = accumulate && rest > 4 ? loadPart(to + 16, rest - 4) : f32x4.splat(0);
    for (let i = 0; i < k; i++) {
      low = f32x4.add(low, v128.load(at));
      high = f32x4.add(high, v128.load(at, 16));
      at += NR << 2;
    }
    storePart(to, low, rest);
    if (rest > 4) storePart(to + 16, high, rest - 4);
  }
}

/** Height of the blocks of A: even, and a multiple of MR, so that 64 becomes 36 + 28, not 48 + 16. */
function evenHeight(rows: i32, most: i32): i32 {
  return max(1, panels(panels(rows, max(1, panels(rows, most))), MR)) * MR;
}
