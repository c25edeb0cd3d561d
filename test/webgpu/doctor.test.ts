import { expect, test } from 'vitest';
import { examineGpu, gpuFacts } from '../../src/cli/doctor-gpu.ts';
import { STANDARD_TILES, tileNames, unitName } from '../../src/engine/webgpu/tiles.ts';
import { matrixUnit } from './half-gpu.ts';

test('doctor knows the name of the GPU, its memory, and what it reaches', async () => {
  const found = await examineGpu(0.2, () => {});
  expect(found).toEqual({
    name: expect.stringMatching(/^webgpu ./),
    bufferBytes: expect.any(Number),
    precisions: { hasFloat16: expect.any(Boolean), subgroupMatrices: matrixUnit && unitName(matrixUnit) },
    gemmFlops: expect.any(Number),
    readBandwidth: expect.any(Number),
    tiles: tileNames(STANDARD_TILES), // nothing is measured without a folder of caches
  });
  if ('problem' in found) throw new Error('no GPU');
  expect(found.bufferBytes).toBeGreaterThanOrEqual(2 ** 27); // the least that WebGPU guarantees
  expect(found.gemmFlops).toBeGreaterThan(1e6);
  expect(found.readBandwidth).toBeGreaterThan(1e6);
  expect(gpuFacts(found).flat().join(' ')).toMatch(
    /^gpu webgpu .* models of up to .*FLOP.s GEMM; .* read bandwidth {2}(no )?float16 GEMM.* {2}GEMM tiles: small 32×32×8\/256, .*$/,
  );
});

test('what is wrong with a GPU is a fact as well', () => {
  expect(gpuFacts({ problem: 'WebGPU finds no GPU here' })).toEqual([
    ['gpu', 'none: WebGPU finds no GPU here'],
  ]);
});
