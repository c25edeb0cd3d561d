/** The tiles of GEMM: what a workgroup computes, and how it is divided among its invocations. */

/** A workgroup of across×down invocations, each of which computes rows×columns elements of c; panels are `depth` terms deep. */
export interface Tile {
  readonly across: number;
  readonly down: number;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

export const tileRows = ({ down, rows }: Tile): number => down * rows;
export const tileColumns = ({ across, columns }: Tile): number => across * columns;

/** '128×64×8/256': 128 rows, 64 columns, 8 terms, 256 invocations. */
export const tileName = (tile: Tile): string =>
  `${tileRows(tile)}×${tileColumns(tile)}×${tile.depth}/${tile.across * tile.down}`;

/** Products by the number of tiles that their result has; each class has a tile of its own. */
export const shapeClasses = ['small', 'medium', 'large', 'huge'] as const;
export type ShapeClass = (typeof shapeClasses)[number];
export type Tiles = Readonly<Record<ShapeClass, Tile>>;

export const tileNames = (tiles: Tiles): Record<ShapeClass, string> => ({
  small: tileName(tiles.small),
  medium: tileName(tiles.medium),
  large: tileName(tiles.large),
  huge: tileName(tiles.huge),
});

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
 * What is measured on a GPU: [across, down, rows, columns, depth], each within the least limits that an adapter may have, 256
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
/** Tiles of 128 from which on a result is huge: the largest GPUs have 100 to 200 cores. */
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
