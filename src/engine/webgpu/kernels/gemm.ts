/**
 * GEMM: c (+)= op(a)·op(b) + bias. A workgroup computes a tile of c; an invocation keeps every 16th (or 8th) row and column of it
 * in variables. Panels of op(a) and op(b) pass through workgroup memory; the loads of neighboring invocations are adjacent in
 * either layout.
 *
 * Where c has too few tiles to occupy a GPU and K is long, K is divided into slices whose sums a second dispatch adds in order
 * (split-K). Slices follow from the shape alone, and any tile sums the terms of an element in the order of k, so that bits are
 * reproducible; a compiler may still fuse operations in the shader of one tile and not of another.
 *
 * With the precision float16, operands are rounded to float16 as they enter workgroup memory, which halves it and its traffic;
 * their products are exact in float32, in which they are summed. Subgroup matrices add in an order and width of their own.
 */
import type { Buffer } from '../../instruction.ts';
import type { MatmulPrecision } from '../../matmul-precision.ts';
import { GEMV_ROWS, type Storage } from '../../signatures.ts';
import { STANDARD_GEMM, type Dispatch, type KernelDispatches } from '../dispatch.ts';
import {
  classOf,
  ENOUGH_TILES,
  STANDARD_TILES,
  tileColumns,
  tileRows,
  tilesOf,
  type Tile,
  type Tiles,
} from '../tiles.ts';
import { elementwise, rowwise, SIZE } from '../wgsl.ts';
import { columnSums } from './column-sums.ts';
import { BIAS, gemmShader, range, type Variant } from './gemm-shaders.ts';
import { readWeight } from './storage.ts';

/** The depth of a slice is a multiple of this. */
const SLICE_STEP = 8;
/**
 * Scales of the gradient of one token's loss in float16. Its numbers may be 2,047 to 4,094 times larger than 1, since the number
 * of tokens is rounded up to a power of two, and 2⁻¹⁸ is still normal. Those of logits are at most 1 where every token is counted,
 * but probabilities are small in a large vocabulary: 2⁻²² is normal, and 128 is in range.
 */
const TOKEN_SCALE = 16;
const LOGITS_SCALE = 256;

/** c = Σ of the slices in order, + bias. */
const addSlices = (slices: number): string =>
  BIAS +
  elementwise(
    `var sum = 0.0;
  for (var slice = 0u; slice < ${slices}u; slice++) { sum += scratch[slice * args.M * args.N + i]; }
  put(args.c + i, sum + biasOf(i % args.N), args.c_accumulates);`,
    'args.M * args.N',
  );

/**
 * A few rows times a transposed matrix, as in decoding: a workgroup computes a column of c, all `rows` of a times one row of b,
 * which is read once. The bits of a row do not depend on the number of rows (GEMV_ROWS in signatures.ts).
 *
 * @param rows M rounded up to a power of two; those beyond M repeat the last
 */
function gemvShader(storage: Storage, rows: number): string {
  const each = (text: (row: number) => string, separator = '\n    '): string =>
    range(rows).map(text).join(separator);
  return /* wgsl */ `
${readWeight[storage]}
${BIAS}
var<workgroup> sums: array<f32, ${rows * SIZE}>;
${rowwise(
  `let column = row;
  ${each((r) => `var sum${r} = 0.0;`, ' ')}
  ${each((r) => `let a${r} = args.a + min(${r}u, args.M - 1u) * args.K;`)}
  for (var k = local; k < args.K; k += ${SIZE}u) {
    let weight = readWeight(args.b, column * args.K + k);
    ${each((r) => `sum${r} += memory[a${r} + k] * weight;`)}
  }
  ${each((r) => `sums[${r * SIZE}u + local] = sum${r};`)}
  for (var width = ${SIZE / 2}u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (local < width) {
      ${each((r) => `sums[${r * SIZE}u + local] += sums[${r * SIZE}u + local + width];`)}
    }
  }
  workgroupBarrier();
  if (local < args.M) {
    put(args.c + local * args.N + column, sums[local * ${SIZE}u] + biasOf(column), args.c_accumulates);
  }`,
)}`;
}

/** The least power of two that is not less. */
const powerOfTwo = (n: number): number => 2 ** Math.ceil(Math.log2(n));

/** Depth of the slices of K, of which there are at most 32. */
function sliceFor(tiles: number, K: number): number {
  const slices = Math.min(32, Math.floor(K / 256), Math.ceil((2 * ENOUGH_TILES) / tiles));
  return tiles >= ENOUGH_TILES || slices < 2 ? 0 : Math.ceil(K / slices / SLICE_STEP) * SLICE_STEP;
}

/** The standard tile where K is divided, or where c is smaller than the chosen one. */
function tileFor(M: number, columns: number, slice: number, tiles: Tiles): Tile {
  const shapeClass = classOf(M, columns);
  const tile = tiles[shapeClass];
  return slice === 0 && M >= tileRows(tile) && columns >= tileColumns(tile)
    ? tile
    : STANDARD_TILES[shapeClass];
}

/**
 * Factor by which an operand is multiplied in float16. The gradient of a mean over thousands of tokens would underflow, so it is
 * brought to the magnitude of the scale times that of one token.
 */
function scaleOf({ averagedOver, isOfLogits }: Buffer, precision: MatmulPrecision): number {
  if (averagedOver === undefined || precision === 'float32') return 1;
  return (isOfLogits ? LOGITS_SCALE : TOKEN_SCALE) * powerOfTwo(averagedOver);
}

export const gemm: KernelDispatches<'gemm'> = (args, { tiles, precision } = STANDARD_GEMM) => {
  const { M, N: columns, K, transA, transB, a, b } = args;
  const storage = b.storage ?? 'f32';
  if (M <= GEMV_ROWS && transB === 1 && transA === 0)
    return [{ kernel: 'gemm', args, shader: gemvShader(storage, powerOfTwo(M)), workgroups: columns }];
  const slice = sliceFor(tilesOf(M, columns, STANDARD_TILES[classOf(M, columns)]), K);
  const tile = tileFor(M, columns, slice, tiles);
  const slices = slice === 0 ? 1 : Math.ceil(K / slice);
  const variant: Variant = {
    transA: transA === 1,
    transB: transB === 1,
    storage,
    tile,
    slice,
    isSymmetric: false,
    precision,
    scaleA: scaleOf(a, precision),
    scaleB: scaleOf(b, precision),
  };
  const product: Dispatch = {
    kernel: 'gemm',
    args,
    ...gemmShader(variant),
    workgroups: [Math.ceil(columns / tileColumns(tile)), Math.ceil(M / tileRows(tile)), slices],
    scratch: slice === 0 ? 0 : slices * M * columns,
  };
  if (slice === 0) return [product];
  const workgroups = Math.ceil((M * columns) / SIZE);
  return [product, { kernel: 'gemm', args, shader: addSlices(slices), workgroups }];
};

/**
 * Runs in float32 in either precision: Muon composes five polynomials of a Gram matrix from it, each of which multiplies the
 * rounding errors of small eigenvalues by 12. (Matrices that are multiplied by the composed one may be rounded.)
 */
export const gemmSymmetric: KernelDispatches<'gemmSymmetric'> = (args) => {
  const { M, transA, transB } = args;
  const tile = STANDARD_TILES[classOf(M, M)]; // square, so that the diagonal divides the tiles
  const across = Math.ceil(M / tileRows(tile));
  const gemmOf = gemmShader({
    transA: transA === 1,
    transB: transB === 1,
    storage: 'f32',
    tile,
    slice: 0,
    isSymmetric: true,
    precision: 'float32',
    scaleA: 1,
    scaleB: 1,
  });
  return [{ kernel: 'gemmSymmetric', args, ...gemmOf, workgroups: [across, across, 1] }];
};

/** dWeight (+)= xᵀ·dY as a GEMM, dBias (+)= the column sums of dY. */
export const linearParametersBackward: KernelDispatches<'linearParametersBackward'> = (
  { x, dY, dWeight, dBias, M, N: columns, K },
  choice,
) => [
  ...gemm({ a: x, b: dY, bias: null, c: dWeight, M: K, N: columns, K: M, transA: 1, transB: 0 }, choice),
  ...columnSums({ x: dY, sums: dBias, M, N: columns }),
];
