/**
 * Split-K: threads divide the blocks of k among them instead of C.
 *
 * It suits long sums with a small result, such as the gradient of a weight, xᵀ·dY, where k runs over the rows of x and dY.
 * The kernels that write x and dY divide their rows among the threads in the same way, so a thread reads mostly what it has
 * written itself and still has in its cache. What passes between threads are the products of the blocks, [M,N] each. They are
 * added in the usual order, so the bits are those of any other way.
 */
import { barrier, nextChunk } from '../barrier';
import { F32, SHARED_SCRATCH } from '../generated/constants';
import { allocate, sharedScratch } from '../scratch';
import { ownerInTurn, sliceEnd, sliceStart, threads } from '../threads';
import { FLOATS_PER_LINE, loadPart, storePart } from '../vector';
import { maxChunk, multiplyChunk } from './chunk';
import { panels, panelStride } from './pack';
import { pack, Product, Round } from './product';
import { prepareTiles } from './tile';

/**
 * True if every thread can have a block of k, and the products of the blocks have less than a third of the numbers of the
 * operands; with more, nothing is gained.
 */
export function isSplit(product: Product): bool {
  const a = product.a;
  const b = product.b;
  if (a.isContiguous || b.isContiguous || b.type != F32) return false;
  if (product.bias || product.sums || product.isLower) return false;
  const blocks = panels(product.K, product.blockDepth);
  const parts = u64(a.count) * b.count * (blocks - 1);
  return (
    threads > 1 &&
    blocks >= threads &&
    3 * parts <= u64(a.count + b.count) * product.K &&
    4 * parts <= u64(SHARED_SCRATCH)
  );
}

/** C (+)= op(A)·op(B), if `isSplit`. A unit of work is a chunk of one operand in a block of k. */
export function multiplySplit(product: Product): void {
  const c = product.c;
  const accumulate = product.accumulate;
  const own = product.own;
  const blocks = panels(product.K, product.blockDepth);
  const numbers = product.a.count * product.b.count;
  const chunk = unitSize(product, blocks);
  const chunks = panels(own.count, chunk);
  const round = wholeRound(product);
  prepareTiles();
  let packed = -1; // the block of k whose part of the shared operand is packed
  for (let turn = 0; turn < threads; turn++) {
    const owner = ownerInTurn(turn);
    const start = sliceStart(blocks * chunks, 1, owner);
    const end = sliceEnd(blocks * chunks, 1, owner);
    for (let unit = start + nextChunk(owner); unit < end; unit = start + nextChunk(owner)) {
      const block = unit / chunks;
      const first = (unit % chunks) * chunk;
      if (block != packed) {
        packBlock(product, round, block);
        packed = block;
      }
      product.firstK = round.from;
      product.c = block == 0 ? c : partOf(block, numbers);
      product.accumulate = block == 0 ? accumulate : 0;
      multiplyChunk(product, round, first, min(chunk, own.count - first));
    }
  }
  barrier();
  addParts(c, numbers, blocks);
}

/** Vectors of a thread's own operand in a unit: at most a chunk, and such that all threads have equally many units. */
function unitSize(product: Product, blocks: i32): i32 {
  const own = product.own;
  let chunks = panels(own.count, maxChunk(product));
  while ((blocks * chunks) % threads != 0) chunks++;
  return panels(panels(own.count, own.width), chunks) * own.width;
}

/** A round over one block of k, in which a thread packs all of the shared operand for itself. */
function wholeRound(product: Product): Round {
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

/** The product of block 1, 2, …; that of block 0 is in C. */
function partOf(block: i32, numbers: i32): usize {
  return sharedScratch() + ((usize(block - 1) * numbers) << 2);
}

/** Adds this thread's slice of the parts to C, in the order of the blocks. */
function addParts(c: usize, numbers: i32, blocks: i32): void {
  const end = sliceEnd(numbers, FLOATS_PER_LINE);
  for (let i = sliceStart(numbers, FLOATS_PER_LINE); i < end; i += 4) {
    const at = usize(i) << 2;
    let sum = loadPart(c + at, end - i);
    for (let block = 1; block < blocks; block++)
      sum = f32x4.add(sum, loadPart(partOf(block, numbers) + at, end - i));
    storePart(c + at, sum, end - i);
  }
}
