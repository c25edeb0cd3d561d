/**
 * GEMM: c (+)= op(a)·op(b) + bias. A workgroup computes a tile of c; an invocation keeps every 16th (or 8th) row and column of it
 * in variables. Panels of op(a) and op(b) pass through workgroup memory; the loads of neighboring invocations are adjacent in
 * either layout.
 *
 * Where c has too few tiles to occupy a GPU and K is long, K is divided into slices whose sums a second dispatch adds in order
 * (split-K). Slices follow from the shape alone, and any tile sums the terms of an element in the order of k, so that bits are
 * reproducible; a compiler may still fuse operations in the shader of one tile and not of another.
 */
import { GEMV_ROWS, type Storage } from '../../signatures.ts';
import type { Dispatch, KernelDispatches } from '../dispatch.ts';
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
import { readWeight } from './storage.ts';

/** What a slice's depth is a multiple of. */
const SLICE_STEP = 8;
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

interface Variant {
  readonly transA: boolean;
  readonly transB: boolean;
  readonly storage: Storage;
  readonly tile: Tile;
  /** Depth of a slice of K; 0 if K is not divided. */
  readonly slice: number;
  /** Only tiles that reach the diagonal or below; the others mirror them. */
  readonly isSymmetric: boolean;
}

/** Loads a panel of `lines` rows of op(a) or columns of op(b); what is outside the matrix is 0. */
function loadPanel(
  panel: string,
  { depth, across, down }: Tile,
  {
    lines,
    isDepthFirst,
    first,
    end,
    value,
  }: Record<'first' | 'end' | 'value', string> & {
    readonly lines: number;
    /** Whether adjacent elements of memory differ in k. */
    readonly isDepthFirst: boolean;
  },
): string {
  const [k, line] = isDepthFirst ? [`e % ${depth}u`, `e / ${depth}u`] : [`e / ${lines}u`, `e % ${lines}u`];
  return /* wgsl */ `
    for (var e = local; e < ${lines * depth}u; e += ${across * down}u) {
      let kInPanel = ${k};
      let inPanel = ${line};
      let k = k0 + kInPanel;
      let line = ${first} + inPanel;
      var value = 0.0;
      if (line < ${end} && k < kEnd) { value = ${value}; }
      ${panel}[kInPanel * ${lines + 1}u + inPanel] = value;
    }`;
}

const N = (isSymmetric: boolean): string => (isSymmetric ? 'args.M' : 'args.N');

/** What is done with an element of c once its sum is complete. */
function store(sum: string, { slice, isSymmetric }: Variant): string {
  if (slice > 0) return `scratch[(group.z * args.M + row) * args.N + column] = ${sum};`;
  if (!isSymmetric)
    return `put(args.c + row * args.N + column, ${sum} + biasOf(column), args.c_accumulates);`;
  return `if (column <= row) {
        memory[args.c + row * args.M + column] = ${sum};
        memory[args.c + column * args.M + row] = ${sum};
      }`;
}

const BIAS = /* wgsl */ `
fn biasOf(column: u32) -> f32 {
  if (isPresent(args.bias)) { return memory[args.bias + column]; }
  return 0.0;
}`;

function gemmShader(variant: Variant): string {
  const { transA, transB, storage, tile, slice, isSymmetric } = variant;
  const { across, down, depth } = tile;
  const [height, width] = [tileRows(tile), tileColumns(tile)];
  const sums = range(tile.rows).flatMap((r) => range(tile.columns).map((c) => [r, c] as const));
  const n = N(isSymmetric);
  return /* wgsl */ `
${readWeight[storage]}
${isSymmetric ? '' : BIAS}
var<workgroup> panelA: array<f32, ${depth * (height + 1)}>;
var<workgroup> panelB: array<f32, ${depth * (width + 1)}>;

@compute @workgroup_size(${across}, ${down})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) at: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
  let firstRow = group.y * ${height}u;
  let firstColumn = group.x * ${width}u;
  ${isSymmetric ? `if (firstColumn > firstRow) { return; }` : ''}
  let kStart = ${slice > 0 ? `group.z * ${slice}u` : '0u'};
  let kEnd = ${slice > 0 ? `min(kStart + ${slice}u, args.K)` : 'args.K'};
  ${sums.map(([r, c]) => `var sum${r}_${c} = 0.0;`).join(' ')}
  for (var k0 = kStart; k0 < kEnd; k0 += ${depth}u) {
    workgroupBarrier();
    ${loadPanel('panelA', tile, {
      lines: height,
      isDepthFirst: !transA,
      first: 'firstRow',
      end: 'args.M',
      value: `memory[args.a + ${transA ? 'k * args.M + line' : 'line * args.K + k'}]`,
    })}
    ${loadPanel('panelB', tile, {
      lines: width,
      isDepthFirst: transB,
      first: 'firstColumn',
      end: n,
      value: `readWeight(args.b, ${transB ? 'line * args.K + k' : `k * ${n} + line`})`,
    })}
    workgroupBarrier();
    for (var k = 0u; k < ${depth}u; k++) {
      ${range(tile.rows)
        .map((r) => `let a${r} = panelA[k * ${height + 1}u + at.y + ${down * r}u];`)
        .join('\n      ')}
      ${range(tile.columns)
        .map((c) => `let b${c} = panelB[k * ${width + 1}u + at.x + ${across * c}u];`)
        .join('\n      ')}
      ${sums.map(([r, c]) => `sum${r}_${c} += a${r} * b${c};`).join(' ')}
    }
  }
  ${sums
    .map(
      ([r, c]) => `{
    let row = firstRow + at.y + ${down * r}u;
    let column = firstColumn + at.x + ${across * c}u;
    if (row < args.M && column < ${n}) {
      ${store(`sum${r}_${c}`, variant)}
    }
  }`,
    )
    .join('\n  ')}
}`;
}

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

export const gemm: KernelDispatches<'gemm'> = (args, tiles = STANDARD_TILES) => {
  const { M, N: columns, K, transA, transB, b } = args;
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
  };
  const product: Dispatch = {
    kernel: 'gemm',
    args,
    shader: gemmShader(variant),
    workgroups: [Math.ceil(columns / tileColumns(tile)), Math.ceil(M / tileRows(tile)), slices],
    scratch: slice === 0 ? 0 : slices * M * columns,
  };
  if (slice === 0) return [product];
  const workgroups = Math.ceil((M * columns) / SIZE);
  return [product, { kernel: 'gemm', args, shader: addSlices(slices), workgroups }];
};

export const gemmSymmetric: KernelDispatches<'gemmSymmetric'> = (args) => {
  const { M, transA, transB } = args;
  const tile = STANDARD_TILES[classOf(M, M)]; // square, so that the diagonal divides the tiles
  const variant = { transA: transA === 1, transB: transB === 1, tile, slice: 0 } as const;
  const across = Math.ceil(M / tileRows(tile));
  const shader = gemmShader({ ...variant, storage: 'f32', isSymmetric: true });
  return [{ kernel: 'gemmSymmetric', args, shader, workgroups: [across, across, 1] }];
};

/** dWeight (+)= xᵀ·dY as a GEMM, dBias (+)= the column sums of dY. */
export const linearParametersBackward: KernelDispatches<'linearParametersBackward'> = (
  { x, dY, dWeight, dBias, M, N: columns, K },
  tiles,
) => [
  ...gemm({ a: x, b: dY, bias: null, c: dWeight, M: K, N: columns, K: M, transA: 1, transB: 0 }, tiles),
  ...columnSums({ x: dY, sums: dBias, M, N: columns }),
];
