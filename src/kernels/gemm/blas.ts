/**
 * GEMM by a BLAS library (engine/native/blas.ts), if one is used: it may reach units of the CPU that WebAssembly cannot, such
 * as Apple's AMX. A product is divided into chunks, each computed on the thread that claims it. Chunks depend on the shape
 * alone, so the bits do not depend on the number of threads.
 */
import { nextChunk } from '../barrier';
import { addRow } from '../column-sums';
import { BlasBlock } from '../generated/arguments';
import { BLAS_BLOCKS, CACHE_LINE, USE_BLAS } from '../generated/constants';
import { multiplyByBlas } from '../host';
import { allocate } from '../scratch';
import { ownerInTurn, poolIndex, sliceEnd, sliceStart, threads } from '../threads';

/** Fewest rows or columns of C in a chunk: the library packs the other operand again for each chunk. */
const PART = 64;
/** Most chunks per product. */
const MOST_PARTS = 16;

/** True once the host has loaded the library in this thread. */
let isLoaded: bool = false;

/** Called by the host once `host.multiplyByBlas` works in this thread. */
export function blasLoaded(): void {
  isLoaded = true;
}

/** @inline */
export function usesBlas(): bool {
  return isLoaded && load<i32>(USE_BLAS) != 0;
}

/** C[M,N] (+)= op(A)·op(B) + bias[N], all float32 and row-major. */
@unmanaged
export class WholeProduct {
  a: usize;
  transA: i32;
  b: usize;
  transB: i32;
  c: usize;
  accumulate: i32;
  /** Address, or 0. */
  bias: usize;
  M: i32;
  N: i32;
  K: i32;
  /** Only the blocks of C that reach the diagonal or lie below it are needed; M = N. */
  isLower: bool;
}

/** A description in scratch memory, without bias and accumulation. */
export function wholeProduct(M: i32, N: i32, K: i32): WholeProduct {
  const product = changetype<WholeProduct>(allocate(offsetof<WholeProduct>()));
  product.M = M;
  product.N = N;
  product.K = K;
  product.bias = 0;
  product.accumulate = 0;
  product.isLower = false;
  return product;
}

/** Sets the operands of a product, and its destination. */
export function setOperands(
  product: WholeProduct,
  a: usize,
  transA: i32,
  b: usize,
  transB: i32,
  c: usize,
): void {
  product.a = a;
  product.transA = transA;
  product.b = b;
  product.transB = transB;
  product.c = c;
}

/** Computes the chunks of a product that this thread claims. */
export function multiplyWithBlas(product: WholeProduct): void {
  const args = changetype<BlasBlock>(BLAS_BLOCKS + usize(poolIndex) * 2 * CACHE_LINE);
  args.k = product.K;
  args.strideA = product.transA ? product.M : product.K;
  args.strideB = product.transB ? product.K : product.N;
  args.strideC = product.N;
  args.transA = product.transA;
  args.transB = product.transB;
  args.accumulate = product.accumulate | (product.bias ? 1 : 0);
  const byRows = product.isLower || product.M >= product.N;
  const count = byRows ? product.M : product.N;
  const size = partSize(count);
  const parts = (count + size - 1) / size;
  for (let turn = 0; turn < threads; turn++) {
    const owner = ownerInTurn(turn);
    const start = sliceStart(parts, 1, owner);
    const end = sliceEnd(parts, 1, owner);
    for (let i = start + nextChunk(owner); i < end; i = start + nextChunk(owner)) {
      const first = i * size;
      if (byRows) multiplyRows(product, args, first, min(size, count - first));
      else multiplyColumns(product, args, first, min(size, count - first));
    }
  }
}

function multiplyRows(product: WholeProduct, args: BlasBlock, first: i32, count: i32): void {
  args.rows = count;
  args.columns = product.isLower ? first + count : product.N;
  args.a = product.a + ((product.transA ? usize(first) : usize(first) * product.K) << 2);
  args.b = product.b;
  args.c = product.c + ((usize(first) * product.N) << 2);
  if (product.bias) setRows(args, product.bias, product.accumulate);
  multiplyByBlas(poolIndex);
}

function multiplyColumns(product: WholeProduct, args: BlasBlock, first: i32, count: i32): void {
  args.rows = product.M;
  args.columns = count;
  args.a = product.a;
  args.b = product.b + ((product.transB ? usize(first) * product.K : usize(first)) << 2);
  args.c = product.c + (usize(first) << 2);
  if (product.bias) setRows(args, product.bias + (usize(first) << 2), product.accumulate);
  multiplyByBlas(poolIndex);
}

/** Rows or columns per chunk: a multiple of PART, so that few tiles are partial. */
function partSize(count: i32): i32 {
  return ((count + MOST_PARTS * PART - 1) / (MOST_PARTS * PART)) * PART;
}

/** Sets the rows of C to the bias, or adds it to them. */
function setRows(args: BlasBlock, bias: usize, accumulate: i32): void {
  const bytes = usize(args.columns) << 2;
  for (let row = 0; row < args.rows; row++) {
    const to = args.c + ((usize(row) * args.strideC) << 2);
    if (accumulate) addRow(to, bias, 0, args.columns);
    else memory.copy(to, bias, bytes);
  }
}
