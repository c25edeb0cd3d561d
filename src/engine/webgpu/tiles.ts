/** The tiles of GEMM: what a workgroup computes, and how it is divided among its invocations. */

/** A subgroup matrix product: c [M,N] += a [M,K]·b [K,N], with the invocations of the subgroup that share it. */
export interface MatrixUnit {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly invocations: number;
}

/**
 * A workgroup of across×down invocations, each of which computes rows×columns elements of c; panels are `depth` terms deep. With
 * a unit, a workgroup of across×down subgroups, each of which computes rows×columns subgroup matrices.
 */
export interface Tile {
  readonly across: number;
  readonly down: number;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly unit?: MatrixUnit;
}

export const tileRows = ({ down, rows, unit }: Tile): number => down * rows * (unit?.M ?? 1);
export const tileColumns = ({ across, columns, unit }: Tile): number => across * columns * (unit?.N ?? 1);
export const tileInvocations = ({ across, down, unit }: Tile): number =>
  across * down * (unit?.invocations ?? 1);

/** '128×64×8/256': 128 rows, 64 columns, 8 terms, 256 invocations; '64×64×16/128 of 16×16×16' of subgroup matrices. */
export const tileName = (tile: Tile): string =>
  `${tileRows(tile)}×${tileColumns(tile)}×${tile.depth}/${tileInvocations(tile)}` +
  (tile.unit === undefined ? '' : ` of ${unitName(tile.unit)}`);

/** '16×16×16' */
export const unitName = ({ M, N, K }: MatrixUnit): string => `${M}×${N}×${K}`;

/** Classes of GEMM by the number of tiles in the result; each class has its own tile. */
export const shapeClasses = ['small', 'medium', 'large', 'huge'] as const;
export type ShapeClass = (typeof shapeClasses)[number];
export type Tiles = Readonly<Record<ShapeClass, Tile>>;

export const tileNames = (tiles: Tiles): Record<ShapeClass, string> => ({
  small: tileName(tiles.small),
  medium: tileName(tiles.medium),
  large: tileName(tiles.large),
  huge: tileName(tiles.huge),
});

/**
 * A short hash of the tiles of subgroup matrices among these, whose results differ from those of other tiles: four hexadecimal
 * digits (FNV-1a); undefined if there are none.
 */
export function matrixTilesMark(tiles: Tiles): string | undefined {
  if (!Object.values(tiles).some(({ unit }) => unit !== undefined)) return undefined;
  let hash = 0x811c9dc5;
  for (const name of shapeClasses) {
    // Scalar tiles have the bits of the standard one.
    const text = tiles[name].unit === undefined ? ';' : `${tileName(tiles[name])};`;
    for (const character of text) hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
  }
  return ((hash ^ (hash >>> 16)) & 0xffff).toString(16).padStart(4, '0');
}

const square = (edge: number): Tile => ({
  across: 16,
  down: 16,
  rows: edge / 16,
  columns: edge / 16,
  depth: 8,
});

/** Used where nothing was measured. */
export const STANDARD_TILES: Tiles = {
  small: square(32),
  medium: square(64),
  large: square(128),
  huge: square(128),
};

/**
 * Tiles to measure on a GPU: [across, down, rows, columns, depth], each within the limits that every adapter supports, 256
 * invocations and 16 KB of workgroup memory.
 *
 * Any of them sums an element's terms in the order of k, so the choice changes no bit unless a compiler fuses operations of one
 * shader and not of another.
 */
export const CANDIDATES: readonly Tile[] = [
  [16, 16, 8, 8, 8],
  [16, 16, 8, 4, 8],
  [16, 16, 4, 8, 8],
  [16, 16, 8, 4, 16],
  [16, 8, 8, 8, 8],
  [16, 16, 4, 4, 8],
  [16, 16, 4, 4, 16],
  [8, 8, 8, 8, 8],
  [8, 8, 8, 8, 16],
  [16, 8, 4, 4, 16],
  [16, 16, 2, 2, 8],
  [16, 16, 2, 2, 32],
  [8, 8, 4, 4, 8],
  [8, 8, 4, 4, 16],
].map(([across, down, rows, columns, depth]) => ({ across, down, rows, columns, depth }));

/** Tiles below which a GPU has idle cores. */
export const ENOUGH_TILES = 64;
/** Number of 128×128 tiles from which a result is huge: the largest GPUs have 100 to 200 cores. */
const MANY_TILES = 512;

/** Tiles of a result. */
export const tilesOf = (rows: number, columns: number, tile: Tile): number =>
  Math.ceil(rows / tileRows(tile)) * Math.ceil(columns / tileColumns(tile));

/** The class with the largest standard tile of which there are enough. */
export function classOf(rows: number, columns: number): ShapeClass {
  const hasEnough = (edge: number): boolean =>
    Math.min(rows, columns) >= edge && tilesOf(rows, columns, square(edge)) >= ENOUGH_TILES;
  if (hasEnough(128)) return tilesOf(rows, columns, square(128)) >= MANY_TILES ? 'huge' : 'large';
  return hasEnough(64) ? 'medium' : 'small';
}
