/** Tiles that were measured before, in a file of the user's cache folder. */
import { isAbsolute, join } from 'node:path';
import { isJsonObject, parseJsonObject } from '../../json.ts';
import { packageVersion } from '../../package-version.ts';
import { readTextFile } from '../../read-file.ts';
import { makeFolder, writeFileAtomic } from '../../write-file.ts';
import type { GpuAdapterInfo } from './gpu.ts';
import {
  shapeClasses,
  STANDARD_TILES,
  tileName,
  tileNames,
  type ShapeClass,
  type Tile,
  type Tiles,
} from './tiles.ts';
import { MEASURED_SHAPES, tuneTiles, type TiledDevice } from './tune.ts';
import { webGpuVersion } from './version.ts';

const LARGEST_FILE = 1 << 20;
/** Stored for a GPU that failed with tiles of subgroup matrices: next time, only scalar tiles are measured. */
const MATRICES_FAILED = 'no subgroup matrices';
/** Maximum number of GPUs in the file, the latest last. */
const MAX_GPUS = 20;

let folder: string | undefined;
/** @param path where tiles are cached; without it, nothing is measured, and the standard tiles are used */
export function setTileFolder(path: string | undefined): void {
  folder = path;
}

/** The folder of caches of this program on each system; undefined where none is known. */
export function cacheFolder(
  environment: Readonly<Record<string, string | undefined>>,
  platform: string = process.platform,
): string | undefined {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local, HOME: home } = environment;
  if (xdg && isAbsolute(xdg)) return join(xdg, 'gpt'); // the XDG specification ignores relative paths
  if (platform === 'win32') return local ? join(local, 'gpt', 'cache') : undefined;
  if (!home) return undefined;
  return platform === 'darwin' ? join(home, 'Library', 'Caches', 'gpt') : join(home, '.cache', 'gpt');
}

/**
 * Gives a device the tiles that are fastest on its GPU, measured the first time with this driver, precision,
 * and version of `gpt` and of WebGPU.
 *
 * @throws Error if the GPU fails at that; the next time, it is measured without subgroup matrices if it failed in these, and
 *   otherwise not at all
 */
export async function chooseTiles(device: TiledDevice, info: GpuAdapterInfo): Promise<void> {
  if (folder === undefined) return;
  const path = join(folder, 'gpu-tiles.json');
  const { vendor, architecture, device: model, description } = info;
  const gpu = [packageVersion(), webGpuVersion(), vendor, architecture, model, description];
  const key = JSON.stringify(device.precision === 'float32' ? gpu : [...gpu, device.precision]);
  const { [key]: names, ...known } = readCache(path);
  const tiles = tilesOfNames(names, device.candidates);
  if (tiles !== undefined) {
    device.tiles = tiles;
    return;
  }
  const candidates =
    names === MATRICES_FAILED
      ? device.candidates.filter(({ unit }) => unit === undefined)
      : device.candidates;
  try {
    device.tiles = await tuneTiles(device, MEASURED_SHAPES, candidates);
  } catch (error) {
    const isOfMatrices = Object.values(device.tiles).some(({ unit }) => unit !== undefined);
    remember(folder, path, { ...known, [key]: isOfMatrices ? MATRICES_FAILED : tileNames(STANDARD_TILES) });
    throw error;
  }
  remember(folder, path, { ...known, [key]: tileNames(device.tiles) });
}

function remember(into: string, path: string, names: Readonly<Record<string, unknown>>): void {
  const latest = Object.fromEntries(Object.entries(names).slice(-MAX_GPUS));
  try {
    makeFolder(into);
    writeFileAtomic(path, [`${JSON.stringify(latest, undefined, 1)}\n`]);
  } catch {
    // If the folder cannot be written, the next command measures again.
  }
}

/** The file's content, or nothing if it is missing or damaged. */
function readCache(path: string): Record<string, unknown> {
  try {
    return parseJsonObject(readTextFile(path, LARGEST_FILE), (what) => {
      throw new Error(what);
    });
  } catch {
    return {};
  }
}

/** Tiles by their names; undefined if one is not a candidate. */
function tilesOfNames(names: unknown, candidates: readonly Tile[]): Tiles | undefined {
  if (!isJsonObject(names)) return undefined;
  const tiles: Record<ShapeClass, Tile> = { ...STANDARD_TILES };
  for (const shapeClass of shapeClasses) {
    const tile = candidates.find((candidate) => tileName(candidate) === names[shapeClass]);
    if (tile === undefined) return undefined;
    tiles[shapeClass] = tile;
  }
  return tiles;
}
