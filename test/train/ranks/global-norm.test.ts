import { describe, expect, test } from 'vitest';
import { Philox } from '../../../src/engine/philox.ts';
import type { Device } from '../../../src/engine/device.ts';
import { createReferenceBackend } from '../../../src/engine/reference/backend.ts';
import { NORM_BLOCK } from '../../../src/engine/signatures.ts';
import { createWasmBackend } from '../../../src/engine/wasm.ts';
import { globalNorm } from '../../../src/train/ranks/global-norm.ts';
import { ranksInMemory } from '../../fixtures/ranks-in-memory.ts';

/** Gradients whose squares span many orders of magnitude, so that the order of additions shows. */
function gradients(n: number): Float32Array {
  const random = new Philox(7, n, 0);
  return Float32Array.from({ length: n }, () => (random.uniform() - 0.5) * 2 ** (40 * random.uniform() - 20));
}

async function normOfKernel(x: Float32Array, device: Device): Promise<number> {
  const n = x.length;
  const at = (offset: number, length: number) => ({ offset, length });
  const blocks = Math.ceil(n / NORM_BLOCK);
  const [partials, norm] = [Math.ceil(n / 16) * 16, Math.ceil(n / 16) * 16 + 2 * blocks];
  device.reserve(norm + 16);
  device.write(0, x);
  const args = { x: at(0, n), partials: at(partials, 2 * blocks), norm: at(norm, 1), n };
  device.load([{ kernel: 'globalNorm', args, label: '' }]).submit();
  const [found] = await device.read(norm, new Float32Array(1));
  return found;
}

describe('the global norm of divided gradients', () => {
  test.each([1, 3, 17, NORM_BLOCK, NORM_BLOCK + 5, 5 * NORM_BLOCK - 16, 9 * NORM_BLOCK + 48])(
    'has the bits of the kernel for %i elements',
    async (n) => {
      const x = gradients(n);
      const device = await createWasmBackend({ threads: 1 });
      const expected = await normOfKernel(x, device);
      await device.close();
      expect(await normOfKernel(x, createReferenceBackend('float32'))).toBe(expected);
      const blocks = Math.ceil(n / NORM_BLOCK);
      for (const size of [1, 2, 3, 5]) {
        // Dealt out like cards, so that each rank has several slices that are not adjacent.
        const slices = Array.from({ length: blocks }, (_, block) => ({
          owner: block % size,
          start: block * NORM_BLOCK,
          end: Math.min(n, (block + 1) * NORM_BLOCK),
        }));
        const norms = await Promise.all(
          ranksInMemory(size).map((ranks) =>
            globalNorm(
              ranks,
              slices,
              slices
                .filter(({ owner }) => owner === ranks.rank)
                .map((slice) => ({ ...slice, gradients: x.subarray(slice.start, slice.end) })),
            ),
          ),
        );
        for (const norm of norms) expect(norm).toBe(expected);
      }
    },
  );
});
