/** Panels of GEMM: how parts of op(a) and op(b) are loaded into workgroup memory. Elements outside the matrix are 0. */
import { tileInvocations, type Tile } from '../tiles.ts';
import { literal } from '../wgsl.ts';

export interface Panel {
  readonly name: string;
  /** Rows of op(a) or columns of op(b). */
  readonly lines: number;
  /** Whether adjacent elements of memory differ in k. */
  readonly isDepthFirst: boolean;
  /** The panel's first line in the matrix, and the matrix's number of lines. */
  readonly first: string;
  readonly end: string;
  /** The element at `k` and `line`. */
  readonly value: string;
  /** Power of two by which float16 panels multiply elements. */
  readonly scale: number;
}

/** Elements in the order k, line: neighbors in memory are loaded by neighboring invocations. */
export function loadPanel(
  { name, lines, isDepthFirst, first, end, value }: Panel,
  { depth, across, down }: Tile,
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
      ${name}[kInPanel * ${lines + 1}u + inPanel] = value;
    }`;
}

const scaled = (x: string, scale: number): string => (scale === 1 ? x : `${literal(scale)} * ${x}`);

/** The same in float16, two neighbors in k to an element: one read of workgroup memory gives two terms. */
export function loadPairs(
  { name, lines, isDepthFirst, first, end, value, scale }: Panel,
  { depth, across, down }: Tile,
): string {
  const pairs = depth / 2;
  const [pair, line] = isDepthFirst ? [`e % ${pairs}u`, `e / ${pairs}u`] : [`e / ${lines}u`, `e % ${lines}u`];
  return /* wgsl */ `
    for (var e = local; e < ${lines * pairs}u; e += ${across * down}u) {
      let pairInPanel = ${pair};
      let inPanel = ${line};
      let line = ${first} + inPanel;
      var pair = vec2<f32>();
      if (line < ${end}) {
        { let k = k0 + 2u * pairInPanel; if (k < kEnd) { pair.x = ${value}; } }
        { let k = k0 + 2u * pairInPanel + 1u; if (k < kEnd) { pair.y = ${value}; } }
      }
      ${name}[pairInPanel * ${lines + 1}u + inPanel] = vec2(toHalf(${scaled('pair.x', scale)}), toHalf(${scaled('pair.y', scale)}));
    }`;
}

/** Padding in elements, a multiple of 16 bytes, to which subgroup matrices must be aligned. */
const PADDING = 8;

/** Elements from one line to the next, or from one k to the next, of a panel that is read as subgroup matrices. */
export const matrixStride = (
  { lines, isDepthFirst }: Pick<Panel, 'lines' | 'isDepthFirst'>,
  depth: number,
): number => (isDepthFirst ? depth : lines) + PADDING;

/** Elements of workgroup memory of such a panel. */
export const matrixPanelLength = (panel: Pick<Panel, 'lines' | 'isDepthFirst'>, depth: number): number =>
  (panel.isDepthFirst ? panel.lines : depth) * matrixStride(panel, depth);

/** The same in float16 for subgroup matrices, in the layout that the matrix has in memory. */
export function loadMatrixPanel(panel: Panel, tile: Tile): string {
  const { name, lines, isDepthFirst, first, end, value, scale } = panel;
  const { depth } = tile;
  const width = isDepthFirst ? depth : lines;
  const [k, line] = isDepthFirst ? ['inner', 'outer'] : ['outer', 'inner'];
  return /* wgsl */ `
    for (var e = local; e < ${lines * depth}u; e += ${tileInvocations(tile)}u) {
      let inner = e % ${width}u;
      let outer = e / ${width}u;
      let k = k0 + ${k};
      let line = ${first} + ${line};
      var value = 0.0;
      if (line < ${end} && k < kEnd) { value = ${value}; }
      ${name}[outer * ${matrixStride(panel, depth)}u + inner] = toHalf(${scaled('value', scale)});
    }`;
}
