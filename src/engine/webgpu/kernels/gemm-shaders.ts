/** The shaders of GEMM for large matrices, in float32 and float16, and with subgroup matrices. */
import type { MatmulPrecision } from '../../matmul-precision.ts';
import type { Storage } from '../../signatures.ts';
import { tileColumns, tileInvocations, tileRows, type MatrixUnit, type Tile } from '../tiles.ts';
import {
  loadMatrixPanel,
  loadPairs,
  loadPanel,
  matrixPanelLength,
  matrixStride,
  type Panel,
} from './gemm-panels.ts';
import { literal, TO_HALF } from '../wgsl.ts';
import { readWeight } from './storage.ts';

export interface Variant {
  readonly transA: boolean;
  readonly transB: boolean;
  readonly storage: Storage;
  readonly tile: Tile;
  /** Depth of a slice of K; 0 if K is not divided. */
  readonly slice: number;
  /** Only tiles that reach the diagonal or below; the others mirror them. */
  readonly isSymmetric: boolean;
  readonly precision: MatmulPrecision;
  /** Powers of two by which float16 operands are multiplied as they are loaded; the sum is divided by them. */
  readonly scaleA: number;
  readonly scaleB: number;
}

export const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

export const BIAS = /* wgsl */ `
fn biasOf(column: u32) -> f32 {
  if (isPresent(args.bias)) { return memory[args.bias + column]; }
  return 0.0;
}`;

const columnsOf = (isSymmetric: boolean): string => (isSymmetric ? 'args.M' : 'args.N');

/** Stores an element of c once its sum is complete. */
function store(total: string, { slice, isSymmetric, scaleA, scaleB }: Variant): string {
  const scale = scaleA * scaleB;
  const sum = scale === 1 ? total : `${literal(1 / scale)} * ${total}`;
  if (slice > 0) return `scratch[(group.z * args.M + row) * args.N + column] = ${sum};`;
  if (!isSymmetric)
    return `put(args.c + row * args.N + column, ${sum} + biasOf(column), args.c_accumulates);`;
  return `if (column <= row) {
        memory[args.c + row * args.M + column] = ${sum};
        memory[args.c + column * args.M + row] = ${sum};
      }`;
}

/** The panels of op(a) and op(b) in a tile. */
function panelsOf({ transA, transB, tile, isSymmetric, scaleA, scaleB }: Variant): readonly [Panel, Panel] {
  const n = columnsOf(isSymmetric);
  return [
    {
      name: 'panelA',
      lines: tileRows(tile),
      isDepthFirst: !transA,
      first: 'firstRow',
      end: 'args.M',
      value: `memory[args.a + ${transA ? 'k * args.M + line' : 'line * args.K + k'}]`,
      scale: scaleA,
    },
    {
      name: 'panelB',
      lines: tileColumns(tile),
      isDepthFirst: transB,
      first: 'firstColumn',
      end: n,
      value: `readWeight(args.b, ${transB ? 'line * args.K + k' : `k * ${n} + line`})`,
      scale: scaleB,
    },
  ];
}

/** Where a workgroup's tile and its part of K begin. */
const start = ({ tile, slice, isSymmetric }: Variant): string => /* wgsl */ `
  let firstRow = group.y * ${tileRows(tile)}u;
  let firstColumn = group.x * ${tileColumns(tile)}u;
  ${isSymmetric ? `if (firstColumn > firstRow) { return; }` : ''}
  let kStart = ${slice > 0 ? `group.z * ${slice}u` : '0u'};
  let kEnd = ${slice > 0 ? `min(kStart + ${slice}u, args.K)` : 'args.K'};`;

/** The shader of a variant, with the extensions of WGSL that it enables. */
export function gemmShader(variant: Variant): {
  readonly shader: string;
  readonly extensions: readonly string[];
  readonly allowed?: readonly string[];
} {
  const { tile, precision } = variant;
  if (tile.unit !== undefined)
    return {
      shader: matrixShader(variant, tile.unit),
      extensions: ['f16', 'subgroups', 'chromium_experimental_subgroup_matrix'],
      allowed: ['chromium.subgroup_matrix_uniformity'], // control flow is uniform; a compiler may fail to prove it
    };
  return { shader: tiledShader(variant), extensions: precision === 'float16' ? ['f16'] : [] };
}

/** An invocation keeps its sums in variables. */
function tiledShader(variant: Variant): string {
  const { storage, tile, isSymmetric, precision } = variant;
  const { across, down, depth } = tile;
  const [height, width] = [tileRows(tile), tileColumns(tile)];
  const sums = range(tile.rows).flatMap((r) => range(tile.columns).map((c) => [r, c] as const));
  const panels = panelsOf(variant);
  const isHalf = precision === 'float16';
  const load = isHalf ? loadPairs : loadPanel;
  const element = isHalf ? 'vec2<f16>' : 'f32';
  /** Elements of a panel's line: pairs of terms in float16. */
  const elements = isHalf ? depth / 2 : depth;
  const widened = (read: string): string => (isHalf ? `vec2<f32>(${read})` : read);
  return /* wgsl */ `
${readWeight[storage]}
${isHalf ? TO_HALF : ''}
${isSymmetric ? '' : BIAS}
var<workgroup> panelA: array<${element}, ${elements * (height + 1)}>;
var<workgroup> panelB: array<${element}, ${elements * (width + 1)}>;

@compute @workgroup_size(${across}, ${down})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_id) at: vec3<u32>,
        @builtin(local_invocation_index) local: u32) {
  ${start(variant)}
  ${sums.map(([r, c]) => `var sum${r}_${c} = 0.0;`).join(' ')}
  for (var k0 = kStart; k0 < kEnd; k0 += ${depth}u) {
    workgroupBarrier();
    ${panels.map((panel) => load(panel, tile)).join('\n')}
    workgroupBarrier();
    for (var k = 0u; k < ${elements}u; k++) {
      ${range(tile.rows)
        .map((r) => `let a${r} = ${widened(`panelA[k * ${height + 1}u + at.y + ${down * r}u]`)};`)
        .join('\n      ')}
      ${range(tile.columns)
        .map((c) => `let b${c} = ${widened(`panelB[k * ${width + 1}u + at.x + ${across * c}u]`)};`)
        .join('\n      ')}
      ${(isHalf ? ['.x', '.y'] : [''])
        .map((part) => sums.map(([r, c]) => `sum${r}_${c} += a${r}${part} * b${c}${part};`).join(' '))
        .join('\n      ')}
    }
  }
  ${sums
    .map(
      ([r, c]) => `{
    let row = firstRow + at.y + ${down * r}u;
    let column = firstColumn + at.x + ${across * c}u;
    if (row < args.M && column < ${columnsOf(isSymmetric)}) {
      ${store(`sum${r}_${c}`, variant)}
    }
  }`,
    )
    .join('\n  ')}
}`;
}

/**
 * A subgroup keeps its sums in subgroup matrices, of float16 operands and float32 results (chromium_experimental_subgroup_matrix,
 * after the draft at https://github.com/gpuweb/gpuweb/blob/main/proposals/subgroup-matrix.md). The results pass through workgroup
 * memory before they are stored in c, because a matrix may reach beyond its edges.
 */
function matrixShader(variant: Variant, unit: MatrixUnit): string {
  const { storage, tile } = variant;
  const { across, down, depth, rows, columns } = tile;
  const { M, N: width } = unit;
  const [a, b] = panelsOf(variant);
  const sums = range(rows).flatMap((r) => range(columns).map((c) => [r, c] as const));
  return /* wgsl */ `
${readWeight[storage]}
${TO_HALF}
${BIAS}
var<workgroup> panelA: array<f16, ${matrixPanelLength(a, depth)}>;
var<workgroup> panelB: array<f16, ${matrixPanelLength(b, depth)}>;
var<workgroup> results: array<f32, ${across * down * M * width}>;

@compute @workgroup_size(${tileInvocations(tile)})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32,
        @builtin(subgroup_id) subgroup: u32, @builtin(subgroup_invocation_id) lane: u32) {
  ${start(variant)}
  let rowInTile = subgroup / ${across}u * ${rows * M}u;
  let columnInTile = subgroup % ${across}u * ${columns * width}u;
  ${sums.map(([r, c]) => `var sum${r}_${c} = subgroup_matrix_result<f32, ${width}, ${M}>();`).join('\n  ')}
  for (var k0 = kStart; k0 < kEnd; k0 += ${depth}u) {
    workgroupBarrier();
    ${loadMatrixPanel(a, tile)}
    ${loadMatrixPanel(b, tile)}
    workgroupBarrier();
    for (var k = 0u; k < ${depth}u; k += ${unit.K}u) {
      ${multiplyMatrices(a, b, tile, unit)}
    }
  }
  let result = subgroup * ${M * width}u;
  ${sums.map((at) => storeMatrix(at, variant, unit)).join('')}
}`;
}

/** The products of a subgroup's matrices at `k` of the panels, which are in the layout of the matrices in memory. */
function multiplyMatrices(
  a: Panel,
  b: Panel,
  { depth, rows, columns }: Tile,
  { M, N: width, K }: MatrixUnit,
): string {
  const read = (panel: Panel, type: string, first: string, hasLinesAsRows: boolean): string => {
    const { name, isDepthFirst } = panel;
    const stride = matrixStride(panel, depth);
    const at = isDepthFirst ? `(${first}) * ${stride}u + k` : `k * ${stride}u + ${first}`;
    const layout = isDepthFirst === hasLinesAsRows ? 'row_major' : 'col_major';
    return `subgroupMatrixLoad<${type}, ${layout}>(&${name}, ${at}, ${stride}u)`;
  };
  const [left, right] = [
    `subgroup_matrix_left<f16, ${K}, ${M}>`,
    `subgroup_matrix_right<f16, ${width}, ${K}>`,
  ];
  return [
    ...range(rows).map((r) => `let a${r} = ${read(a, left, `rowInTile + ${r * M}u`, true)};`),
    ...range(columns).map((c) => `let b${c} = ${read(b, right, `columnInTile + ${c * width}u`, false)};`),
    ...range(rows).flatMap((r) =>
      range(columns).map(
        (c) => `sum${r}_${c} = subgroupMatrixMultiplyAccumulate(a${r}, b${c}, sum${r}_${c});`,
      ),
    ),
  ].join('\n      ');
}

/** Stores one matrix of sums through the subgroup's part of `results`. */
const storeMatrix = (
  [r, c]: readonly [number, number],
  variant: Variant,
  { M, N: width, invocations }: MatrixUnit,
): string => /* wgsl */ `
  workgroupBarrier();
  subgroupMatrixStore<row_major>(&results, result, sum${r}_${c}, ${width}u);
  workgroupBarrier();
  for (var e = lane; e < ${M * width}u; e += ${invocations}u) {
    let row = firstRow + rowInTile + ${r * M}u + e / ${width}u;
    let column = firstColumn + columnInTile + ${c * width}u + e % ${width}u;
    if (row < args.M && column < args.N) {
      ${store('results[result + e]', variant)}
    }
  }`;
