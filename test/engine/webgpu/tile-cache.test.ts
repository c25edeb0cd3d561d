import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { EngineMemoryError } from '../../../src/engine/engine-memory-error.ts';
import type { Instruction } from '../../../src/engine/instruction.ts';
import type { KernelArguments } from '../../../src/engine/signatures.ts';
import { setWebGpuFolder } from '../../../src/engine/webgpu-package.ts';
import { cacheFolder, chooseTiles, setTileFolder } from '../../../src/engine/webgpu/tile-cache.ts';
import {
  CANDIDATES,
  classOf,
  STANDARD_TILES,
  tileColumns,
  tileName,
  tileNames,
  tileRows,
  type Tile,
  type Tiles,
} from '../../../src/engine/webgpu/tiles.ts';
import { candidatesWith, matrixTiles } from '../../../src/engine/webgpu/subgroup-matrices.ts';
import { MEASURED_SHAPES, tuneTiles, type TiledDevice } from '../../../src/engine/webgpu/tune.ts';
import { dispatchesOf } from '../../../src/engine/webgpu/kernels.ts';

afterEach(() => {
  setTileFolder(undefined);
  setWebGpuFolder(undefined);
  vi.restoreAllMocks();
});

const info = { vendor: 'acme', architecture: 'one', device: '1', description: 'driver 2' };
const [, fast] = CANDIDATES;
const everywhere = (tile: Tile): Tiles => ({ small: tile, medium: tile, large: tile, huge: tile });

/** A device's memory in which every element has the same value. */
function oneNumber() {
  const memory = {
    value: 0,
    commands: {
      reserve: () => {},
      write: () => {},
      fill: () => void (memory.value = 0),
      clear: () => {},
      finish: async () => {},
      read: async (_offset: number, into: Int32Array | Float32Array) => into.fill(memory.value),
    },
  };
  return memory;
}

/** Computes nothing. By a clock of its own, the tile `quick` takes no time, any other half a millisecond. */
function fakeDevice(
  written: 'same' | 'others' | 'none' = 'same',
  quick: Tile = fast,
): {
  readonly device: TiledDevice;
  readonly load: ReturnType<typeof vi.fn>;
} {
  let milliseconds = 0;
  const memory = oneNumber();
  vi.spyOn(performance, 'now').mockImplementation(() => milliseconds);
  const load = vi.fn((_program: readonly Instruction[]) => {
    const isFast = Object.values(device.tiles).includes(quick);
    return {
      submit: () => {
        milliseconds += isFast ? 0 : 0.5;
        if (!isFast || written !== 'none') memory.value = isFast && written === 'others' ? 2 : 1;
      },
    };
  });
  const device = {
    tiles: STANDARD_TILES,
    candidates: CANDIDATES.includes(quick) ? CANDIDATES : [...CANDIDATES, quick],
    precision: 'float32',
    compile: async () => true,
    load,
    ...memory.commands,
  } as unknown as TiledDevice;
  return { device, load };
}

/**
 * A GPU of 10 TFLOP/s by a clock of its own, 40 in subgroup matrices, and a little more in large tiles. Each shader is compiled once.
 *
 * @param compileTime milliseconds
 * @param faulty what is wrong with the matrices: the compiler refuses them, or tiles of these names compute nothing
 */
function gpuWithMatrices(compileTime: number, faulty: 'refused' | readonly string[] = []) {
  let milliseconds = 0;
  const memory = oneNumber();
  vi.spyOn(performance, 'now').mockImplementation(() => milliseconds);
  const candidates = candidatesWith({ M: 16, N: 16, K: 16, invocations: 32 }, 32_768);
  const compiled = new Set<string>();
  const verified: string[] = [];
  const inUse = ({ args }: Instruction): Tile => {
    const { M, N } = args as KernelArguments<'gemm', unknown>;
    return device.tiles[classOf(M, N)];
  };
  const compile = async ([product]: readonly Instruction[]): Promise<boolean> => {
    const { transA, transB } = product.args as KernelArguments<'gemm', unknown>;
    const shader = `${tileName(inUse(product))} ${transA}${transB}`;
    if (!compiled.has(shader)) milliseconds += compileTime;
    compiled.add(shader);
    return faulty !== 'refused' || inUse(product).unit === undefined;
  };
  const load = (program: readonly Instruction[]) => {
    const tile = inUse(program[0]);
    const { M, N, K } = program[0].args as KernelArguments<'gemm', unknown>;
    if (program.length === 1 && M % 2 === 1 && tile.unit !== undefined) verified.push(tileName(tile)); // with edges
    const rate = (tile.unit === undefined ? 1e10 : 4e10) * (1 + 1e-6 * tileRows(tile) * tileColumns(tile));
    return {
      submit: (from = 0, to = program.length) => {
        milliseconds += 0.1 + ((to - from) * 2 * M * N * K) / rate;
        memory.value = faulty.includes(tileName(tile)) ? 2 : 1;
      },
    };
  };
  const device = {
    tiles: STANDARD_TILES,
    candidates,
    precision: 'float16',
    compile,
    load,
    ...memory.commands,
  } as unknown as TiledDevice;
  return { device, candidates, verified, seconds: () => milliseconds / 1000 };
}

const tiny = [64, 64, 8] as const;
const shapes = { small: tiny, medium: tiny, large: tiny, huge: tiny };

test('any GPU has the invocations and the workgroup memory of every candidate', () => {
  for (const tile of CANDIDATES) {
    expect(tile.across * tile.down).toBeLessThanOrEqual(256);
    expect(4 * tile.depth * (tileRows(tile) + tileColumns(tile) + 2)).toBeLessThanOrEqual(16_384);
  }
  for (const tile of Object.values(STANDARD_TILES)) expect(CANDIDATES).toContainEqual(tile);
});

test('a measured product is one of its class', () => {
  for (const [name, [M, N]] of Object.entries(MEASURED_SHAPES)) expect(classOf(M, N)).toBe(name);
});

describe('a product', () => {
  const workgroups = (M: number, N: number, K: number, tiles: Tiles) => {
    const matrix = (length: number) => ({ offset: 0, length });
    const args = { a: matrix(M * K), b: matrix(K * N), c: matrix(M * N), bias: null, M, N, K };
    const product = { kernel: 'gemm', label: '', args: { ...args, transA: 0, transB: 0 } } as const;
    return dispatchesOf(product, { tiles, precision: 'float32' }).map((dispatch) => dispatch.workgroups);
  };
  const tiles = everywhere(CANDIDATES[1]); // 128×64

  test('is computed in the chosen tile', () => {
    expect(workgroups(130, 131, 9, tiles)).toEqual([[3, 2, 1]]);
  });

  test('that is smaller, or whose K is divided, is computed in the standard one: the order of sums stays', () => {
    for (const [M, N, K] of [
      [100, 200, 9],
      [128, 128, 4096],
    ] as const)
      expect(workgroups(M, N, K, tiles)).toEqual(workgroups(M, N, K, STANDARD_TILES));
  });
});

describe('tuning', () => {
  test('chooses the fastest tile of a size like the standard one', async () => {
    const { device } = fakeDevice();
    expect(await tuneTiles(device, shapes)).toEqual({ ...everywhere(fast), small: STANDARD_TILES.small });
  });

  test.each(['others', 'none'] as const)('never chooses one that writes other bits: %s', async (written) => {
    const { device } = fakeDevice(written);
    expect(await tuneTiles(device, shapes)).toEqual(STANDARD_TILES);
  });

  test.each(['same', 'others', 'none'] as const)(
    'chooses one of subgroup matrices by its numbers, since their order of sums is their own: %s',
    async (written) => {
      const tiles = matrixTiles({ M: 16, N: 16, K: 16, invocations: 32 }, 16_384);
      const tile = tiles.find((one) => tileRows(one) === 64 && tileColumns(one) === 64)!;
      const { device } = fakeDevice(written, tile);
      const expected = written === 'same' ? { ...everywhere(tile) } : STANDARD_TILES;
      expect(await tuneTiles(device, shapes)).toEqual(expected);
    },
  );

  describe.each([0, 20, 50, 100, 200])('where a shader compiles in %i ms', (compileTime) => {
    test('chooses subgroup matrices that are four times faster in every class', async () => {
      const { device } = gpuWithMatrices(compileTime);
      const chosen = await tuneTiles(device);
      for (const tile of Object.values(chosen)) expect(tile.unit, tileName(tile)).toBeDefined();
    });

    test('chooses scalar tiles where the matrices are refused', async () => {
      const { device } = gpuWithMatrices(compileTime, 'refused');
      for (const tile of Object.values(await tuneTiles(device))) expect(tile.unit).toBeUndefined();
    });
  });

  test('verifies the fastest tile only, once, and the next one if its numbers are wrong', async () => {
    const { device, verified, candidates } = gpuWithMatrices(20);
    const { huge } = await tuneTiles(device);
    expect(new Set(verified).size).toBe(verified.length / 4); // four layouts
    const wrong = gpuWithMatrices(20, [tileName(huge)]);
    const next = (await tuneTiles(wrong.device)).huge;
    expect(next.unit).toBeDefined();
    expect(tileName(next)).not.toBe(tileName(huge));
    expect(wrong.verified).toContain(tileName(huge));
    expect(verified.length / 4).toBeLessThan(candidates.length / 2);
  });

  test('ends after a time, however long shaders take to compile', async () => {
    const { device, seconds } = gpuWithMatrices(2000);
    await tuneTiles(device);
    expect(seconds()).toBeLessThan(40);
  });

  test('leaves out products that take long, as in software', async () => {
    const { device, load } = fakeDevice();
    const long = [1e5, 1e5, 1e5] as const;
    const found = await tuneTiles(device, { small: long, medium: long, large: long, huge: long });
    expect(found).toEqual(STANDARD_TILES);
    expect(load).toHaveBeenCalledOnce();
  });

  test('leaves out products that need more memory than a GPU allows', async () => {
    const { device } = fakeDevice();
    const small = (most: number): TiledDevice => ({
      ...device,
      reserve(elements) {
        if (elements > most) throw new EngineMemoryError('too large', { hint: '' });
      },
    });
    expect(await tuneTiles(small(1000), shapes)).toEqual(STANDARD_TILES);
    const [wide, large] = [[64, 64, 8] as const, [4096, 4096, 8] as const];
    const found = await tuneTiles(small(2 ** 20), { small: wide, medium: wide, large, huge: large });
    expect(found.large).toEqual(STANDARD_TILES.large);
  });
});

describe('the cache', () => {
  const temporary = (): string => mkdtempSync(join(tmpdir(), 'tiles-'));
  const file = (folder: string): string => join(folder, 'gpu-tiles.json');

  test('spares a GPU the next measurement, but neither another GPU nor another driver', async () => {
    const folder = join(temporary(), 'of', 'gpt');
    setTileFolder(folder);
    const first = fakeDevice();
    await chooseTiles(first.device, info);
    expect(first.load).toHaveBeenCalled();
    expect(readdirSync(folder)).toEqual(['gpu-tiles.json']);
    const second = fakeDevice();
    await chooseTiles(second.device, info);
    expect(second.load).not.toHaveBeenCalled();
    expect(second.device.tiles).toEqual(first.device.tiles);
    const other = fakeDevice();
    await chooseTiles(other.device, { ...info, description: 'driver 3' });
    expect(other.load).toHaveBeenCalled();
    expect(Object.keys(JSON.parse(readFileSync(file(folder), 'utf8')) as object)).toHaveLength(2);
  });

  test('of one version of the npm package is not that of another', async () => {
    setTileFolder(temporary());
    const dawn = temporary();
    setWebGpuFolder(dawn);
    const measures = async (version: string): Promise<boolean> => {
      writeFileSync(join(dawn, 'package.json'), JSON.stringify({ name: 'webgpu', version }));
      const { device, load } = fakeDevice();
      await chooseTiles(device, info);
      return load.mock.calls.length > 0;
    };
    expect(await measures('0.6.2')).toBe(true);
    expect(await measures('0.6.2')).toBe(false);
    expect(await measures('0.7.0')).toBe(true);
  });

  test('of one precision is not that of another', async () => {
    const folder = temporary();
    setTileFolder(folder);
    await chooseTiles(fakeDevice().device, info);
    const half = fakeDevice();
    await chooseTiles({ ...half.device, precision: 'float16' }, info);
    expect(half.load).toHaveBeenCalled();
    const again = fakeDevice();
    await chooseTiles({ ...again.device, precision: 'float16' }, info);
    expect(again.load).not.toHaveBeenCalled();
  });

  test('may name tiles of subgroup matrices, on a GPU that has them', async () => {
    const folder = temporary();
    setTileFolder(folder);
    await chooseTiles(fakeDevice().device, info);
    const [key] = Object.keys(JSON.parse(readFileSync(file(folder), 'utf8')) as object);
    const [tile] = matrixTiles({ M: 16, N: 16, K: 16, invocations: 32 }, 16_384);
    writeFileSync(file(folder), JSON.stringify({ [key]: tileNames(everywhere(tile)) }));
    const device = { ...fakeDevice().device, candidates: [...CANDIDATES, tile] };
    await chooseTiles(device, info);
    expect(device.tiles).toEqual(everywhere(tile));
    const without = fakeDevice();
    await chooseTiles(without.device, info);
    expect(without.load).toHaveBeenCalled(); // measured again
  });

  test('is what the file says', async () => {
    const folder = temporary();
    setTileFolder(folder);
    await chooseTiles(fakeDevice().device, info);
    const [key] = Object.keys(JSON.parse(readFileSync(file(folder), 'utf8')) as object);
    writeFileSync(file(folder), JSON.stringify({ [key]: tileNames(everywhere(CANDIDATES[7])) }));
    const { device } = fakeDevice();
    await chooseTiles(device, info);
    expect(device.tiles).toEqual(everywhere(CANDIDATES[7]));
  });

  test.each([
    ['no JSON', () => '{'],
    ['an array', () => '[]'],
    ['an unknown tile', (key: string) => JSON.stringify({ [key]: { small: '1×1', medium: 1 } })],
    ['no tiles', (key: string) => JSON.stringify({ [key]: null })],
  ])('is written anew where it holds %s', async (_what, content) => {
    const folder = temporary();
    setTileFolder(folder);
    await chooseTiles(fakeDevice().device, info);
    const good = readFileSync(file(folder), 'utf8');
    const [key] = Object.keys(JSON.parse(good) as object);
    writeFileSync(file(folder), content(key));
    const { device, load } = fakeDevice();
    await chooseTiles(device, info);
    expect(load).toHaveBeenCalled();
    const names = tileNames(device.tiles);
    expect(JSON.parse(readFileSync(file(folder), 'utf8'))).toEqual({ [key]: names });
  });

  test('that cannot be written changes nothing else', async () => {
    const folder = temporary();
    writeFileSync(join(folder, 'file'), '');
    setTileFolder(join(folder, 'file'));
    const { device, load } = fakeDevice();
    await chooseTiles(device, info);
    expect(load).toHaveBeenCalled();
  });

  test('remembers the standard tiles of a GPU that failed while it was measured', async () => {
    setTileFolder(temporary());
    const { device, load } = fakeDevice();
    load.mockImplementation(() => {
      throw new Error('the shader does not compile');
    });
    await expect(chooseTiles(device, info)).rejects.toThrow('does not compile');
    const { device: next, load: measured } = fakeDevice();
    await chooseTiles(next, info);
    expect(next.tiles).toEqual(STANDARD_TILES);
    expect(measured).not.toHaveBeenCalled();
  });

  test('remembers that subgroup matrices made a GPU fail, which is then measured without them', async () => {
    setTileFolder(temporary());
    const [tile] = matrixTiles({ M: 16, N: 16, K: 16, invocations: 32 }, 16_384);
    const failing = fakeDevice('same', tile);
    const works = failing.load.getMockImplementation() as (program: unknown) => unknown;
    failing.load.mockImplementation((program: unknown) => {
      if (Object.values(failing.device.tiles).includes(tile)) throw new Error('the GPU was lost');
      return works(program);
    });
    await expect(chooseTiles(failing.device, info)).rejects.toThrow('lost');
    const next = fakeDevice('same', tile);
    await chooseTiles(next.device, info);
    expect(next.load).toHaveBeenCalled();
    for (const { unit } of Object.values(next.device.tiles)) expect(unit).toBeUndefined();
    const later = fakeDevice('same', tile);
    await chooseTiles(later.device, info);
    expect(later.load).not.toHaveBeenCalled();
    expect(later.device.tiles).toEqual(next.device.tiles);
  });

  test('remembers the standard tiles of a GPU that failed in scalar ones, although it has subgroup matrices', async () => {
    setTileFolder(temporary());
    const [tile] = matrixTiles({ M: 16, N: 16, K: 16, invocations: 32 }, 16_384);
    const failing = fakeDevice('same', tile);
    failing.load.mockImplementation(() => {
      throw new Error('the GPU was lost');
    });
    await expect(chooseTiles(failing.device, info)).rejects.toThrow('lost');
    const next = fakeDevice('same', tile);
    await chooseTiles(next.device, info);
    expect(next.load).not.toHaveBeenCalled();
    expect(next.device.tiles).toEqual(STANDARD_TILES);
  });

  test('without a folder, nothing is measured', async () => {
    const { device, load } = fakeDevice();
    await chooseTiles(device, info);
    expect(load).not.toHaveBeenCalled();
    expect(device.tiles).toBe(STANDARD_TILES);
  });

  test('is where the system keeps caches', () => {
    const home = { HOME: '/home/ada' };
    expect(cacheFolder({ ...home, XDG_CACHE_HOME: '/caches' }, 'linux')).toBe(join('/caches', 'gpt'));
    expect(cacheFolder({ ...home, XDG_CACHE_HOME: 'relative' }, 'linux')).toBe(join('/home/ada/.cache/gpt'));
    expect(cacheFolder(home, 'darwin')).toBe(join('/home/ada/Library/Caches/gpt'));
    expect(cacheFolder({ ...home, LOCALAPPDATA: '/local' }, 'win32')).toBe(join('/local/gpt/cache'));
    expect(cacheFolder({}, 'linux')).toBeUndefined();
  });
});
