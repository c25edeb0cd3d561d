/** Chooses the tiles of GEMM by measuring them on the GPU at hand. */
import type { Device } from '../device.ts';
import { EngineMemoryError } from '../engine-memory-error.ts';
import type { Instruction } from '../instruction.ts';
import type { MatmulPrecision } from '../matmul-precision.ts';
import { timedProduct } from '../timed-product.ts';
import {
  shapeClasses,
  STANDARD_TILES,
  tileColumns,
  tileRows,
  type ShapeClass,
  type Tile,
  type Tiles,
} from './tiles.ts';

/** A device whose tiles can be chosen. */
export interface TiledDevice extends Device {
  tiles: Tiles;
  readonly candidates: readonly Tile[];
  readonly precision: MatmulPrecision;
  /**
   * Compiles the shaders of instructions in the present tiles, so that the first run of a program need not.
   *
   * @returns whether the GPU accepts them; one that refuses a shader still runs others
   */
  compile(instructions: readonly Instruction[]): Promise<boolean>;
}

/** M, N and K. */
export type ProductShape = readonly [number, number, number];

/** A product of each class. */
export const MEASURED_SHAPES: Readonly<Record<ShapeClass, ProductShape>> = {
  small: [384, 384, 384],
  medium: [768, 768, 512],
  large: [1024, 1024, 512],
  huge: [2048, 4096, 256],
};

/** Limit of all timings, in seconds. Tiles that are not timed by then are not chosen. */
const TIME_LIMIT = 2;
/** The same for compiling shaders, which takes drivers 10 to 100 milliseconds each: a tile is compiled once for all classes. */
const COMPILE_LIMIT = 8;
/** A class whose product takes longer than this many seconds is left out: such a device is software, or a very slow GPU. */
const LONGEST_PRODUCT = 0.1;
/** Seconds of one timing, next to which the submission latency is negligible. */
const LONG_ENOUGH = 0.005;
const TIMINGS = 3;
/** A tile is chosen only if it is faster than the standard one by this factor: timings vary. */
const WORTHWHILE = 1.05;
/** Elements whose bits are compared with those of the standard tile. */
const COMPARED = 65_536;

/** The fastest tiles. Overwrites the device's memory, and clears it. */
export async function tuneTiles(
  device: TiledDevice,
  shapes = MEASURED_SHAPES,
  candidates = device.candidates,
): Promise<Tiles> {
  const chosen: Record<ShapeClass, Tile> = { ...STANDARD_TILES };
  const first = await unlessTooLarge(firstRate(device));
  if (first === undefined) return chosen;
  let rate = first;
  const progress: Progress = { compiling: 0, timing: 0, isRight: new Map() };
  for (const [i, name] of shapeClasses.entries()) {
    const shape = shapes[name];
    if (flopsOf(shape) / rate > LONGEST_PRODUCT) break; // the next ones take longer still
    const limit = (TIME_LIMIT * (i + 1)) / shapeClasses.length;
    const fastest: Fastest | undefined = await unlessTooLarge(
      fastestTile(device, name, shape, { rate, progress, limit, candidates }),
    );
    if (fastest === undefined) break;
    chosen[name] = fastest.tile;
    rate = fastest.standardRate;
    device.clear();
  }
  device.clear();
  return chosen;
}

/** Undefined if the measurement needs more memory than the device allows. */
const unlessTooLarge = <T>(measured: Promise<T>): Promise<T | undefined> =>
  measured.catch((error: unknown) => {
    if (error instanceof EngineMemoryError) return undefined;
    throw error;
  });

const flopsOf = ([M, N, K]: ProductShape): number => 2 * M * N * K;

/** FLOP/s of a product that is small enough to be quick on any device: far less than a GPU reaches. */
async function firstRate(device: TiledDevice): Promise<number> {
  const shape = [128, 128, 128] as const;
  const program = device.load([productOf(device, shape)]);
  program.submit(); // compiles the shader
  await device.finish();
  return flopsOf(shape) / (await secondsOf(() => program.submit(), device));
}

async function secondsOf(submit: () => void, device: Device): Promise<number> {
  const start = performance.now();
  submit();
  await device.finish();
  return (performance.now() - start) / 1000;
}

/** A GEMM of numbers whose sums require rounding. */
function productOf(
  device: Device,
  [M, N, K]: ProductShape,
  transB: 0 | 1 = 0,
  transA: 0 | 1 = 0,
): Instruction {
  const product = timedProduct(device, M, N, K, transB, transA);
  const numbers = new Float32Array(M * K + K * N);
  for (let i = 0; i < numbers.length; i++) numbers[i] = ((i * 40_503) % 65_521) / 65_521 - 0.5;
  device.write(0, numbers);
  return product;
}

interface Fastest {
  readonly tile: Tile;
  /** FLOP/s of the standard tile. */
  readonly standardRate: number;
}

/** Seconds so far, and whether tiles can be used: those that were refused, and those of subgroup matrices that were verified. */
interface Progress {
  compiling: number;
  timing: number;
  readonly isRight: Map<Tile, boolean>;
}

interface Measurement {
  /** FLOP/s that are expected of the standard tile. */
  readonly rate: number;
  readonly progress: Progress;
  /** Of `progress.timing`. */
  readonly limit: number;
  readonly candidates: readonly Tile[];
}

/** The fastest tile whose numbers are right. */
async function fastestTile(
  device: TiledDevice,
  name: ShapeClass,
  shape: ProductShape,
  { rate, progress, limit, candidates }: Measurement,
): Promise<Fastest> {
  const product = productOf(device, shape);
  const standard = STANDARD_TILES[name];
  const runs = Math.min(100, Math.max(1, Math.ceil((LONG_ENOUGH * rate) / flopsOf(shape))));
  const expected = await timeTile(device, name, standard, product, runs, progress);
  if (expected === undefined) return { tile: standard, standardRate: rate };
  const faster: { readonly tile: Tile; readonly seconds: number }[] = [];
  for (const tile of candidates) {
    if (progress.timing > limit) break;
    if (!isComparable(tile, standard) || progress.isRight.get(tile) === false) continue;
    const timed = await timeTile(device, name, tile, product, runs, progress);
    if (timed === undefined || timed.seconds >= expected.seconds / WORTHWHILE) continue;
    // A compiler may contract one shader and not the other.
    if (tile.unit === undefined && !timed.bits.every((word, i) => word === expected.bits[i])) continue;
    faster.push({ tile, seconds: timed.seconds });
  }
  const fastest = await firstRight(
    device,
    faster.sort((one, other) => one.seconds - other.seconds).map(({ tile }) => tile),
    progress.isRight,
  );
  device.tiles = STANDARD_TILES;
  return { tile: fastest ?? standard, standardRate: flopsOf(shape) / expected.seconds };
}

/** The first tile that is scalar or agrees with the standard one. Overwrites the device's memory. */
async function firstRight(
  device: TiledDevice,
  tiles: readonly Tile[],
  verified: Progress['isRight'],
): Promise<Tile | undefined> {
  for (const tile of tiles) {
    if (tile.unit === undefined) return tile;
    const isRight = verified.get(tile) ?? (await agreesInAnyLayout(device, tile));
    verified.set(tile, isRight);
    if (isRight) return tile;
  }
  return undefined;
}

/** Whether a tile is neither the standard one nor far from its size. */
function isComparable(tile: Tile, standard: Tile): boolean {
  const ratio = (tileRows(tile) * tileColumns(tile)) / (tileRows(standard) * tileColumns(standard));
  return ratio >= 1 / 4 && ratio <= 4 && JSON.stringify(tile) !== JSON.stringify(standard);
}

/** The shortest time of a product in seconds, and the bits of its first elements; undefined if its shader does not compile in time. */
async function timeTile(
  device: TiledDevice,
  name: ShapeClass,
  tile: Tile,
  product: Instruction,
  runs: number,
  progress: Progress,
): Promise<{ readonly seconds: number; readonly bits: Int32Array } | undefined> {
  if (progress.compiling > COMPILE_LIMIT) return undefined;
  device.tiles = { ...STANDARD_TILES, [name]: tile };
  const { c } = product.args as { readonly c: { readonly offset: number; readonly length: number } };
  const start = performance.now();
  const isCompiled = await device.compile([product]);
  const compiled = performance.now();
  progress.compiling += (compiled - start) / 1000;
  if (!isCompiled) {
    progress.isRight.set(tile, false);
    return undefined;
  }
  const program = device.load(Array.from({ length: runs }, () => product));
  device.fill(c.offset, c.length, 0); // not the result of the tile before
  program.submit(0, 1);
  const bits = await device.read(c.offset, new Int32Array(Math.min(c.length, COMPARED)));
  const times: number[] = [];
  for (let i = 0; i < TIMINGS; i++) times.push(await secondsOf(() => program.submit(), device));
  progress.timing += (performance.now() - compiled) / 1000;
  return { seconds: Math.min(...times) / runs, bits };
}

/** Rounding of sums by matrix units, whose order and width are their own, relative to the terms; an error of layout is far larger. */
const UNIT_TOLERANCE = 2 ** -16;

/**
 * Whether a tile of subgroup matrices has the results of the standard tile, with either operand transposed, with edges. Driver
 * support is new, and the shader was developed on a single driver. Overwrites the device's memory.
 *
 * @param tolerance of each term of a sum; terms are at most 1/4
 */
export async function agreesInAnyLayout(
  device: TiledDevice,
  tile: Tile,
  tolerance = UNIT_TOLERANCE,
): Promise<boolean> {
  const shape = [tileRows(tile) + 3, tileColumns(tile) + 5, 2 * tile.depth + 7] as const;
  const everywhere: Tiles = { small: tile, medium: tile, large: tile, huge: tile };
  for (const [transA, transB] of [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ] as const) {
    const product = productOf(device, shape, transB, transA);
    const [expected, actual] = [await resultOf(STANDARD_TILES), await resultOf(everywhere)];
    const limit = tolerance * shape[2];
    if (!actual?.every((x, i) => Math.abs(x - expected![i]) <= limit)) return false;

    async function resultOf(tiles: Tiles): Promise<Float32Array | undefined> {
      device.tiles = tiles;
      const { c } = product.args as { readonly c: { readonly offset: number; readonly length: number } };
      if (!(await device.compile([product]))) return undefined;
      device.fill(c.offset, c.length, NaN);
      device.load([product]).submit();
      return device.read(c.offset, new Float32Array(c.length));
    }
  }
  return true;
}
