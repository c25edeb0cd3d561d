/** GEMM on subgroup matrices. */
import { expect, test, vi } from 'vitest';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { tryKernel } from '../../src/engine/try-kernel.ts';
import { matrixTiles } from '../../src/engine/webgpu/subgroup-matrices.ts';
import {
  CANDIDATES,
  tileColumns,
  tileName,
  tileRows,
  type Tile,
  type Tiles,
} from '../../src/engine/webgpu/tiles.ts';
import { agreesInAnyLayout, tuneTiles } from '../../src/engine/webgpu/tune.ts';
import { borrowHalfGpu, matrixUnit, withSubgroupMatrices } from './half-gpu.ts';
import { expectProduct, numbers, productCase } from './products.ts';

const everywhere = (tile: Tile): Tiles => ({ small: tile, medium: tile, large: tile, huge: tile });
const isOnGpu = process.env['GPT_TEST_GPU'] !== undefined;
/** All of them on a GPU, the largest first; their shaders take long to compile for a CPU. */
const tiles =
  matrixUnit === undefined ? [] : matrixTiles(matrixUnit, 32_768).filter((_, i) => i % 2 === 1 || isOnGpu);

withSubgroupMatrices('a GEMM on subgroup matrices', () => {
  test('has tiles to choose from', async () => {
    expect(tiles.length).toBeGreaterThan(1);
    const { candidates } = await borrowHalfGpu();
    for (const tile of matrixTiles(matrixUnit!, 16_384)) expect(candidates).toContainEqual(tile);
  });

  test.each(tiles.map((tile, i) => [tileName(tile), tile, i] as const))(
    'in a tile of %s agrees with float64 within the rounding of 11 bits, with edges, inside its buffers',
    async (_name, tile, i) => {
      const gpu = await borrowHalfGpu();
      gpu.tiles = everywhere(tile);
      const product = {
        M: tileRows(tile) + 1 + (i % 7),
        N: tileColumns(tile) + 3 + (i % 5),
        K: 37 + 8 * (i % 3),
        transA: i % 2 === 0 ? 0 : 1,
        transB: (i >> 1) % 2 === 0 ? 0 : 1,
        hasBias: true,
        accumulate: i % 3 === 0,
      } as const;
      await expectProduct(gpu, product);
    },
  );

  test('of operands in either layout, of narrow weights, and twice with the same bits', async () => {
    const gpu = await borrowHalfGpu();
    const tile = tiles.at(-1)!;
    gpu.tiles = everywhere(tile);
    const shape = { M: tileRows(tile) + 9, N: 64, K: 64 };
    for (const transA of [0, 1] as const)
      for (const transB of [0, 1] as const) await expectProduct(gpu, { ...shape, transA, transB });
    for (const storage of ['f16', 'q8'] as const) await expectProduct(gpu, { ...shape, b: { storage } });
    const product = productCase(shape);
    const { c } = await tryKernel(gpu, 'gemm', product, false);
    expect((await tryKernel(gpu, 'gemm', product, false))['c']).toEqual(c);
  });

  test('does not lose a tiny gradient, and keeps what is not finite visible', async () => {
    const gpu = await borrowHalfGpu();
    const tile = tiles.at(-1)!;
    gpu.tiles = everywhere(tile);
    const shape = { M: tileRows(tile), N: tileColumns(tile), K: 40 };
    const made = productCase({ ...shape, sizeA: 1e-7, sizeB: 1000, a: { averagedOver: 4096 } });
    const { c } = await tryKernel(gpu, 'gemm', made, false);
    const { c: expected } = await tryKernel(createReferenceBackend('float64'), 'gemm', made, false);
    const difference = Math.hypot(...c.map((x, i) => x - expected[i]));
    expect(difference / Math.hypot(...expected)).toBeLessThan(2 ** -10);
    const values = numbers(shape.M * shape.K);
    values[0] = Infinity;
    const broken = productCase({ ...shape, a: { kind: 'exact', values } });
    const found = (await tryKernel(gpu, 'gemm', broken, false))['c'];
    expect(found.slice(0, shape.N).some(Number.isFinite)).toBe(false);
    expect(found.slice(shape.N).every(Number.isFinite)).toBe(true);
  });

  test.each(tiles.slice(isOnGpu ? 0 : -2).map((tile) => [tileName(tile), tile] as const))(
    'in a tile of %s is verified, with the rounding of its sums as the only difference',
    async (_name, tile) => {
      const gpu = await borrowHalfGpu();
      expect(await agreesInAnyLayout(gpu, tile)).toBe(true);
      expect(await agreesInAnyLayout(gpu, tile, 0)).toBe(false);
    },
  );

  test('of a unit that the GPU does not have is refused, after which others are computed', async () => {
    const gpu = await borrowHalfGpu();
    const tile = tiles.at(-1)!;
    const unit = { ...matrixUnit!, K: 64 };
    expect(await agreesInAnyLayout(gpu, { ...tile, unit, depth: 64 })).toBe(false);
    await expectProduct(gpu, { M: 20, N: 20, K: 9 });
  });

  test('is chosen where it takes less time', async () => {
    const gpu = await borrowHalfGpu();
    const hasMatrices = (chosen: Tiles): boolean =>
      Object.values(chosen).some(({ unit }) => unit !== undefined);
    let milliseconds = 0;
    const clock = vi
      .spyOn(performance, 'now')
      .mockImplementation(() => (milliseconds += hasMatrices(gpu.tiles) ? 1 : 9));
    const shape = [96, 96, 9] as const;
    const shapes = { small: shape, medium: shape, large: shape, huge: shape };
    const candidates = isOnGpu ? gpu.candidates : [...tiles.slice(-2), ...CANDIDATES.slice(-2)];
    const chosen = await tuneTiles(gpu, shapes, candidates);
    clock.mockRestore();
    for (const { unit } of Object.values(chosen)) expect(unit).toEqual(matrixUnit);
  });
});
