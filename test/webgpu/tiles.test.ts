/** The tiles of GEMM that a GPU may be given: any of them has the bits of the standard one. */
import { afterEach, expect, test } from 'vitest';
import { gemmCase } from '../../src/engine/kernel-cases.ts';
import { createReferenceBackend } from '../../src/engine/reference/backend.ts';
import { compareKernel, tryKernel } from '../../src/engine/try-kernel.ts';
import {
  CANDIDATES,
  STANDARD_TILES,
  tileName,
  type Tile,
  type Tiles,
} from '../../src/engine/webgpu/tiles.ts';
import { tuneTiles, type TiledDevice } from '../../src/engine/webgpu/tune.ts';
import { borrowGpu } from './backends.ts';

let gpu: TiledDevice;

/** A device whose tiles the next test does not see. */
async function borrow(): Promise<TiledDevice> {
  gpu = (await borrowGpu()) as TiledDevice;
  return gpu;
}
afterEach(() => {
  gpu.tiles = STANDARD_TILES;
});

const everywhere = (tile: Tile): Tiles => ({ small: tile, medium: tile, large: tile, huge: tile });

test.each(CANDIDATES.map((tile, i) => [tileName(tile), tile, i] as const))(
  'a tile of %s agrees with the reference, with edges, and has the bits of the standard tile',
  async (_name, tile, i) => {
    const device = await borrow();
    const product = gemmCase([130, 131, 37], { hasBias: true, transA: i % 2, transB: (i >> 1) % 2 });
    const standard = await tryKernel(device, 'gemm', product, i % 3 === 0);
    device.tiles = everywhere(tile);
    const oracle = createReferenceBackend('float64');
    expect(await compareKernel([device, oracle], 'gemm', product, i % 3 === 0)).toBeUndefined();
    const { c } = await tryKernel(device, 'gemm', product, i % 3 === 0);
    expect(Array.from(c)).toEqual(Array.from(standard['c']));
  },
);

test('what is measured on a GPU is one of the candidates in each class, and leaves the memory empty', async () => {
  const device = await borrow();
  const shape = [64, 64, 9] as const;
  const tiles = await tuneTiles(device, { small: shape, medium: shape, large: shape, huge: shape });
  const names = CANDIDATES.map(tileName);
  for (const tile of Object.values(tiles)) expect(names).toContain(tileName(tile));
  expect([...(await device.read(0, new Float32Array(100)))]).toEqual(Array.from({ length: 100 }, () => 0));
});
