/** Descriptors of a GEMM, as structures in scratch memory. */
import { F32, MR, NR } from '../generated/constants';
import { allocate } from '../scratch';
import { rowBytesOf, widen } from '../storage';
import { packColumns, packRows, panelStride } from './pack';
import { Output } from './output';

/**
 * An operand as packing sees it: the rows of op(A), which go into panels of MR, or the columns of op(B), which go into panels
 * of NR. Each is a vector along k. A transposed matrix has its strides swapped.
 */
@unmanaged
export class Operand {
  data: usize;
  /** Number of vectors: rows of op(A), columns of op(B). */
  count: i32;
  /** Vectors in a panel. */
  width: i32;
  /** Bytes from one vector to the next, and from one k to the next: the size of a row and 4, a float32's, in either order. */
  stride: usize;
  depthStride: usize;
  /** A vector is contiguous in memory. */
  isContiguous: bool;
  /** Storage type of the numbers. */
  type: i32;
  /** Working memory for WIDENED vectors as deep as a block; 0 for float32, which is packed directly. */
  wide: usize;
}

/** Vectors of another type that are widened before they are packed: whole panels, which stay in L2. */
const WIDENED = 64;

/** op(A) [M,K], stored row-major, or [K,M] if `transposed`. */
export function operandA(data: usize, M: i32, K: i32, transposed: i32): Operand {
  return operand(data, F32, M, MR, K, transposed);
}

/** op(B) [K,N], stored row-major, or [N,K] if `transposed`. */
export function operandB(data: usize, type: i32, N: i32, K: i32, transposed: i32): Operand {
  return operand(data, type, N, NR, K, transposed ? 0 : 1);
}

/** @param runsAcross the matrix is stored with k as its row index, so that its rows run across the vectors */
function operand(data: usize, type: i32, count: i32, width: i32, K: i32, runsAcross: i32): Operand {
  const view = changetype<Operand>(allocate(offsetof<Operand>()));
  view.data = data;
  view.count = count;
  view.width = width;
  view.stride = runsAcross ? 4 : rowBytesOf(K, type);
  view.depthStride = runsAcross ? rowBytesOf(count, type) : 4;
  view.isContiguous = !runsAcross;
  view.type = type;
  view.wide = 0;
  return view;
}

/** Packs numbers `p` … `p` + `k` − 1 of `n` vectors from `first` on. Transposition affects nothing else. */
export function pack(dst: usize, view: Operand, first: i32, n: i32, p: i32, k: i32): void {
  if (view.type != F32) {
    packWidened(dst, view, first, n, p, k);
    return;
  }
  const src = view.data + view.stride * first + view.depthStride * p;
  if (view.isContiguous) packRows(dst, src, view.stride, n, k, view.width);
  else packColumns(dst, src, view.depthStride, n, k, view.width);
}

/** Allocates working memory for packing types other than float32. @param depth of a block */
export function prepareWidening(view: Operand, depth: i32): void {
  if (view.type != F32) view.wide = allocate(u64(WIDENED * 4) * depth);
}

/** `pack` for types other than float32: a few vectors at a time are widened, then packed. */
function packWidened(dst: usize, view: Operand, first: i32, n: i32, p: i32, k: i32): void {
  const wide = view.wide;
  const width = view.width;
  for (let i = 0; i < n; i += WIDENED) {
    const count = min(WIDENED, n - i);
    const to = dst + panelStride(width, k) * (i / width);
    const from = first + i;
    if (view.isContiguous) {
      const ld = usize(k) << 2;
      for (let r = 0; r < count; r++)
        widen(wide + ld * r, view.data + view.stride * (from + r), p, k, view.type);
      packRows(to, wide, ld, count, k, width);
    } else {
      const ld = usize(count) << 2;
      for (let r = 0; r < k; r++)
        widen(wide + ld * r, view.data + view.depthStride * (p + r), from, count, view.type);
      packColumns(to, wide, ld, count, k, width);
    }
  }
}

/** C[M,N] (+)= op(A)·op(B) + bias[N]; sums[N] (+)= Σ_k op(B)[k,:]. */
@unmanaged
export class Product {
  a: Operand;
  b: Operand;
  K: i32;
  /** Depth of the blocks of k; the last one may be smaller. */
  blockDepth: i32;
  c: usize;
  accumulate: i32;
  /**
   * The block of k that starts here overwrites C unless `accumulate`, and adds the bias; later blocks are added to C. 0, except
   * in split-K, where each block has a C of its own.
   */
  firstK: i32;
  /** Addresses of bias and sums; 0 if there are none. */
  bias: usize;
  sums: usize;
  accumulateSums: i32;
  /** Only tiles on or below the diagonal are computed. */
  isLower: bool;
  /** Working memory. */
  output: Output;
  block: Block;
  packedOwn: usize;

  /**
   * True if op(B) is shared, packed by all threads jointly (in split-K by each thread for itself), and each thread packs blocks of
   * op(A); false if it is the other way round.
   */
  get sharesB(): bool {
    return this.a.count > this.b.count;
  }
  get shared(): Operand {
    return this.sharesB ? this.b : this.a;
  }
  get own(): Operand {
    return this.sharesB ? this.a : this.b;
  }
}

/** A block of C, and the block of k whose product is added to it. */
@unmanaged
export class Block {
  row: i32;
  rows: i32;
  column: i32;
  columns: i32;
  p: i32;
  k: i32;
}

/** The portion of the shared operand that is packed between two barriers, in split-K for a block: vectors over blocks of k. */
@unmanaged
export class Round {
  first: i32;
  count: i32;
  from: i32;
  to: i32;
  packed: usize;
  /** Bytes from one block of k to the next. */
  blockBytes: usize;
}
