/**
 * Split-K: threads divide the K dimension instead of C.
 *
 * It suits long sums with a small result, such as the gradient of a weight, xᵀ·dY, where k runs over the rows of x and dY.
 * The kernels that write x and dY divide their rows among the threads in the same way, so a thread mostly reads rows that it
 * wrote itself; those of dY are often still in its cache. What passes between threads are the partial sums, a
 * matrix [M,N] for each block of k. They are added in the order of k, so the result is bit-identical to that of the product
 * that is not split.
 */
import { barrier, nextChunk } from '../barrier';
import { CACHE_LINE, F32, SHARED_SCRATCH } from '../generated/constants';
import { allocate, sharedScratch } from '../scratch';
import { ownerInTurn, sliceEnd, sliceStart, threads } from '../threads';
import { FLOATS_PER_LINE, loadPart, storePart } from '../vector';
import { maxChunkSize, multiplyChunk } from './chunk';
import { panels, panelStride } from './pack';
import { pack, Product, Round } from './product';
import { prepareTiles } from './tile';

/**
 * True if every thread can have a block of k, the partial sums fit in the shared scratch memory, and they have at most a third
 * as many elements as the operands. Beyond that, nothing was gained on two cores.
 */
export function isSplit(product: Product): bool {
  const a = product.a;
  const b = product.b;
  const blocks = panels(product.K, product.blockDepth);
  if (threads == 1 || blocks < threads) return false;
  if (a.isContiguous || b.isContiguous || b.type != F32) return false; // k must be the row index of both
  if (product.bias || product.sums || product.isLower) return false; // sums are added up over the blocks in order
  const elements = u64(a.count) * b.count;
  return (
    3 * elements * (blocks - 1) <= u64(a.count + b.count) * product.K &&
    strideOf(elements) * (blocks - 1) <= u64(SHARED_SCRATCH)
  );
}

/** C (+)= op(A)·op(B), if `isSplit`. A work item is a chunk of the thread's own operand in a block of k. */
export function multiplySplit(product: Product): void {
  const c = product.c;
  const accumulate = product.accumulate;
  const own = product.own;
  const blocks = panels(product.K, product.blockDepth);
  const elements = product.a.count * product.b.count;
  const size = balancedChunkSize(product, blocks);
  const chunks = panels(own.count, size);
  const round = createRound(product);
  prepareTiles();
  let packedBlock = -1;
  for (let turn = 0; turn < threads; turn++) {
    const owner = ownerInTurn(turn);
    const start = sliceStart(blocks * chunks, 1, owner);
    const end = sliceEnd(blocks * chunks, 1, owner);
    for (let item = start + nextChunk(owner); item < end; item = start + nextChunk(owner)) {
      const block = item / chunks;
      const first = (item % chunks) * size;
      if (block != packedBlock) {
        packBlock(product, round, block);
        packedBlock = block;
      }
      product.firstK = round.from;
      product.c = block == 0 ? c : partialSum(block, elements);
      product.accumulate = block == 0 ? accumulate : 0;
      multiplyChunk(product, round, first, min(size, own.count - first));
    }
  }
  barrier();
  addPartialSums(c, elements, blocks);
}

/** The chunk size that minimizes the largest share of a thread; the larger size if two are equal. */
function balancedChunkSize(product: Product, blocks: i32): i32 {
  const own = product.own;
  let best = 0;
  let least = i32.MAX_VALUE;
  for (let size = maxChunkSize(product); size > 0; size -= own.width) {
    const longest = panels(blocks * panels(own.count, size), threads) * min(size, own.count);
    if (longest >= least) continue;
    least = longest;
    best = size;
  }
  return best;
}

/**
 * A round over one block of k, for which each thread packs all of the shared operand itself. It has at most 1,305 vectors, since
 * M·N numbers fit in the shared scratch memory, so this takes at most about 2 MB.
 */
function createRound(product: Product): Round {
  const shared = product.shared;
  const round = changetype<Round>(allocate(offsetof<Round>()));
  round.first = 0;
  round.count = shared.count;
  round.blockBytes = panelStride(shared.width, product.blockDepth) * panels(shared.count, shared.width);
  round.packed = allocate(round.blockBytes);
  return round;
}

function packBlock(product: Product, round: Round, block: i32): void {
  round.from = block * product.blockDepth;
  round.to = min(product.K, round.from + product.blockDepth);
  pack(round.packed, product.shared, 0, round.count, round.from, round.to - round.from);
}

/** Address of the partial sum of block 1, 2, …; that of block 0 is in C. */
function partialSum(block: i32, elements: i32): usize {
  return sharedScratch() + usize(strideOf(elements)) * (block - 1);
}

/** Bytes from one partial sum to the next: an odd number of cache lines, as in `panelStride`. */
function strideOf(elements: u64): u64 {
  return (((elements * 4 + CACHE_LINE - 1) / CACHE_LINE) | 1) * CACHE_LINE;
}

/** Adds this thread's slice of the partial sums to C, in the order of the blocks. */
function addPartialSums(c: usize, elements: i32, blocks: i32): void {
  const stride = usize(strideOf(elements));
  const end = sliceEnd(elements, FLOATS_PER_LINE);
  for (let i = sliceStart(elements, FLOATS_PER_LINE); i < end; i += FLOATS_PER_LINE) {
    const to = c + (usize(i) << 2);
    const from = partialSum(1, elements) + (usize(i) << 2);
    if (end - i >= FLOATS_PER_LINE) addLines(to, from, stride, blocks);
    else addLastLine(to, from, stride, blocks, end - i);
  }
}

/** Adds a cache line of each partial sum, starting at `from`, to the numbers at `to`. */
function addLines(to: usize, from: usize, stride: usize, blocks: i32): void {
  let v0 = v128.load(to);
  let v1 = v128.load(to, 16);
  let v2 = v128.load(to, 32);
  let v3 = v128.load(to, 48);
  for (let block = 1; block < blocks; block++) {
    v0 = f32x4.add(v0, v128.load(from));
    v1 = f32x4.add(v1, v128.load(from, 16));
    v2 = f32x4.add(v2, v128.load(from, 32));
    v3 = f32x4.add(v3, v128.load(from, 48));
    from += stride;
  }
  v128.store(to, v1, 16);
  v128.store(to, v0);
  v128.store(to, v3, 48);
  v128.store(to, v2, 32);
}

/** `addLines` for the last `n` numbers of C, fewer than a cache line. */
function addLastLine(to: usize, from: usize, stride: usize, blocks: i32, n: i32): void {
  for (let j = 0; j < n; j += 4) {
    const at = usize(j) << 2;
    let sum = loadPart(to + at, n - j);
    for (let block = 1; block < blocks; block++)
      sum = f32x4.add(sum, loadPart(from + stride * (block - 1) + at, n - j));
    storePart(to + at, sum, n - j);
  }
}
