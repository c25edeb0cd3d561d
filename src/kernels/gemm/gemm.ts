/**
 * GEMM, blocked as in BLIS (Van Zee & van de Geijn 2015): blocks of k at most KC deep, and panels that the micro-kernel reads
 * from L1. Bias and accumulation are applied when a tile is stored.
 *
 * The smaller operand, op(A) or op(B), is shared: all threads need all of it, and pack it jointly. The other one is divided
 * among the threads, with work stealing; each thread packs small blocks of it privately, which are still in its L2 when they
 * are used. (Packed as a whole, a large operand would be written to memory and read again.) If the
 * sums are long and the result is small, threads divide the blocks of k instead (split-k.ts). Either way the blocks of k depend
 * on K alone and their products are added in order, so the bits do not depend on the number of threads.
 * Error: that of a sum of K products in order, at most K·2⁻²⁴ relative to Σ|a·b|.
 */
import { barrier, nextChunk } from '../barrier';
import { addColumns } from '../column-sums';
import {
  GemmArguments,
  GemmSymmetricArguments,
  LinearParametersBackwardArguments,
} from '../generated/arguments';
import { F32, GEMV_ROWS } from '../generated/constants';
import { allocate, SHARED_HALF, sharedHalf } from '../scratch';
import { ownerInTurn, sliceEnd, sliceStart, threads } from '../threads';
import { multiplyWithBlas, setOperands, usesBlas, wholeProduct } from './blas';
import { chunkSize, maxChunkSize, multiplyChunk, sumColumns } from './chunk';
import { matrixTimesFewRows } from './gemv';
import { createOutput } from './output';
import { panels, panelStride } from './pack';
import { Block, Operand, operandA, operandB, pack, prepareWidening, Product, Round } from './product';
import { mirrorLower } from './mirror';
import { isSplit, multiplySplit } from './split-k';
import { prepareTiles } from './tile';

/** Depth of a block: a panel of B, KC·NR·4 B = 24 KiB, is half of Zen 5's L1, three quarters of Zen 3's. */
const KC = 384;
/** Columns of B, or rows of A, that are packed between two barriers. */
const PACK_CHUNK = 2048;
/** Up to this many rows, packing B costs more than it saves, because each number of B is used only a few times. */
const FEW_ROWS = 4;

export function gemm(args: GemmArguments): void {
  const M = args.M;
  const N = args.N;
  const K = args.K;
  if (!args.transA && M <= (args.transB ? GEMV_ROWS : FEW_ROWS)) {
    matrixTimesFewRows(args);
    return;
  }
  if (usesBlas() && args.bType == F32) {
    const whole = wholeProduct(M, N, K);
    setOperands(whole, args.a, args.transA, args.b, args.transB, args.c);
    whole.accumulate = args.accumulateC;
    whole.bias = args.bias;
    multiplyWithBlas(whole);
    return;
  }
  const b = operandB(args.b, args.bType, N, K, args.transB);
  const product = createProduct(operandA(args.a, M, K, args.transA), b, K);
  product.c = args.c;
  product.accumulate = args.accumulateC;
  product.bias = args.bias;
  multiply(product);
}

export function gemmSymmetric(args: GemmSymmetricArguments): void {
  const M = args.M;
  const K = args.K;
  if (usesBlas()) {
    const whole = wholeProduct(M, M, K);
    setOperands(whole, args.a, args.transA, args.b, args.transB, args.c);
    whole.isLower = true;
    multiplyWithBlas(whole);
    barrier();
    mirrorLower(args.c, M);
    return;
  }
  const b = operandB(args.b, F32, M, K, args.transB);
  const product = createProduct(operandA(args.a, M, K, args.transA), b, K);
  product.c = args.c;
  product.accumulate = 0;
  product.isLower = true;
  multiply(product);
  barrier();
  mirrorLower(args.c, M);
}

/** dWeight = xᵀ·dY; the columns of dY are summed into dBias as they are packed. */
export function linearParametersBackward(args: LinearParametersBackwardArguments): void {
  const M = args.M;
  if (usesBlas()) {
    const whole = wholeProduct(args.K, args.N, M);
    setOperands(whole, args.x, 1, args.dY, 0, args.dWeight);
    whole.accumulate = args.accumulateDWeight;
    multiplyWithBlas(whole);
    if (args.dBias) addColumns(args.dY, M, args.N, args.dBias, args.accumulateDBias);
    return;
  }
  const product = createProduct(operandA(args.x, args.K, M, 1), operandB(args.dY, F32, args.N, M, 0), M);
  product.c = args.dWeight;
  product.accumulate = args.accumulateDWeight;
  product.sums = args.dBias;
  product.accumulateSums = args.accumulateDBias;
  multiply(product);
}

function createProduct(a: Operand, b: Operand, K: i32): Product {
  const product = changetype<Product>(allocate(offsetof<Product>()));
  product.a = a;
  product.b = b;
  product.K = K;
  product.blockDepth = blockDepth(K);
  prepareWidening(b, product.blockDepth);
  product.bias = 0;
  product.sums = 0;
  product.isLower = false;
  product.output = createOutput(usize(b.count) << 2);
  product.block = changetype<Block>(allocate(offsetof<Block>()));
  const own = product.own;
  product.packedOwn = allocate(
    panelStride(own.width, product.blockDepth) * panels(maxChunkSize(product), own.width),
  );
  product.firstK = 0;
  return product;
}

/** The loops over blocks of the shared operand. */
function multiply(product: Product): void {
  if (isSplit(product)) {
    multiplySplit(product);
    return;
  }
  const shared = product.shared;
  const K = product.K;
  const round = changetype<Round>(allocate(offsetof<Round>()));
  prepareTiles();
  let rounds = 0;
  for (let first = 0; first < shared.count; first += PACK_CHUNK) {
    round.first = first;
    round.count = min(PACK_CHUNK, shared.count - first);
    round.blockBytes = panelStride(shared.width, product.blockDepth) * panels(round.count, shared.width);
    const depth = roundDepth(product, round.blockBytes);
    for (let from = 0; from < K; from += depth) {
      round.from = from;
      round.to = min(K, from + depth);
      round.packed = sharedHalf(rounds++);
      packShared(product, round);
      barrier();
      multiplyShared(product, round);
    }
  }
}

/** Packs this thread's panels of the shared operand. */
function packShared(product: Product, round: Round): void {
  const shared = product.shared;
  const width = shared.width;
  const panelCount = panels(round.count, width);
  const panel = sliceStart(panelCount, 1);
  const skipped = panel * width;
  const count = min(round.count, sliceEnd(panelCount, 1) * width) - skipped;
  if (count <= 0) return;
  const first = round.first + skipped;
  let block = round.packed;
  for (let p = round.from; p < round.to; p += product.blockDepth) {
    const k = min(product.blockDepth, round.to - p);
    const dst = block + panelStride(width, k) * panel;
    pack(dst, shared, first, count, p, k);
    if (product.sharesB && product.sums) sumColumns(product, dst, first, count, p, k);
    block += round.blockBytes;
  }
}

/** Multiplies chunks of the other operand with the packed one, first those of this thread's slice. */
function multiplyShared(product: Product, round: Round): void {
  const own = product.own;
  for (let turn = 0; turn < threads; turn++) {
    const owner = ownerInTurn(turn);
    const start = sliceStart(own.count, own.width, owner);
    const end = sliceEnd(own.count, own.width, owner);
    const chunk = chunkSize(product, end - start);
    for (let i = start + chunk * nextChunk(owner); i < end; i = start + chunk * nextChunk(owner))
      multiplyChunk(product, round, i, min(chunk, end - i));
  }
}

/** Depth of the blocks of k: even, so that 400 becomes 2 × 200, not 384 + 16. */
function blockDepth(K: i32): i32 {
  return panels(K, panels(K, KC));
}

/**
 * Depth packed between two barriers. If op(B) is shared and A is packed from its rows, it is as many blocks as half of the
 * shared scratch memory holds, so that a block of C stays in L2 while all of them are added.
 */
function roundDepth(product: Product, blockBytes: usize): i32 {
  // A block has at most KC numbers of each vector, and up to 128 bytes between two panels of MR ≥ 4 vectors.
  if (i32(SHARED_HALF) < PACK_CHUNK * (KC * 4 + 32))
    ERROR('SHARED_SCRATCH does not hold a block of PACK_CHUNK vectors of KC numbers');
  const blocks = product.sharesB && product.a.isContiguous ? i32(SHARED_HALF / blockBytes) : 1;
  return product.blockDepth * blocks;
}
