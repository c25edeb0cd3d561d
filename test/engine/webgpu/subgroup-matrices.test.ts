/** Which subgroup matrices are used, and in what tiles. test/webgpu/ computes with them. */
import { describe, expect, test } from 'vitest';
import type { GpuAdapter } from '../../../src/engine/webgpu/gpu.ts';
import {
  candidatesWith,
  matrixFeatures,
  matrixTileBytes,
  matrixTiles,
  matrixUnitOf,
} from '../../../src/engine/webgpu/subgroup-matrices.ts';
import { CANDIDATES, tileInvocations, tileName, type MatrixUnit } from '../../../src/engine/webgpu/tiles.ts';
import { failingGpu } from '../../fixtures/failing-gpu.ts';

const config = (
  edges: readonly [number, number, number],
  componentType: string,
  resultComponentType: string,
) => {
  const [M, N, K] = edges;
  return { M, N, K, componentType, resultComponentType };
};
const configs = [
  config([8, 8, 8], 'f32', 'f32'),
  config([16, 8, 8], 'f16', 'f32'),
  config([16, 16, 16], 'f16', 'f32'),
  config([16, 16, 32], 'f16', 'f16'),
];

/** An adapter with subgroup matrices. */
function adapterWith(
  info: Partial<GpuAdapter['info']> = {},
  features: readonly string[] = matrixFeatures,
): GpuAdapter {
  const { adapter } = failingGpu();
  const matrices = { subgroupMinSize: 32, subgroupMaxSize: 32, subgroupMatrixConfigs: configs };
  return { ...adapter, features: new Set(features), info: { ...adapter.info, ...matrices, ...info } };
}

describe('the unit of a GPU', () => {
  test('is its largest of float16 operands and float32 results', () => {
    expect(matrixUnitOf(adapterWith())).toEqual({ M: 16, N: 16, K: 16, invocations: 32 });
  });

  test.each([
    ['a feature', adapterWith({}, ['subgroups'])],
    ['subgroups of one size', adapterWith({ subgroupMinSize: 8 })],
    ['a suitable type', adapterWith({ subgroupMatrixConfigs: [configs[0], configs[3]] })],
    ['matrices', failingGpu().adapter],
  ])('is none without %s', (_what, adapter) => {
    expect(matrixUnitOf(adapter)).toBeUndefined();
  });
});

describe('the tiles of subgroup matrices', () => {
  const units: readonly MatrixUnit[] = [
    { M: 8, N: 8, K: 8, invocations: 32 },
    { M: 16, N: 16, K: 16, invocations: 32 },
    { M: 16, N: 8, K: 16, invocations: 64 },
  ];

  test('fit into a workgroup of any GPU, and into its memory', () => {
    for (const unit of units)
      for (const bytes of [16_384, 32_768]) {
        const tiles = matrixTiles(unit, bytes);
        expect(tiles.length).toBeGreaterThan(1);
        for (const tile of tiles) {
          expect(tileInvocations(tile)).toBeLessThanOrEqual(256);
          expect(matrixTileBytes(tile)).toBeLessThanOrEqual(bytes);
          expect(tile.depth % unit.K).toBe(0);
        }
      }
  });

  test('have names of their own', () => {
    const names = candidatesWith(units[0], 32_768).map(tileName);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toContain('64×64×16/128 of 8×8×8');
    expect(candidatesWith(undefined, 32_768)).toEqual(CANDIDATES);
  });
});
