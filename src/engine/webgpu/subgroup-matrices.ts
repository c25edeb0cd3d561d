/**
 * Subgroup matrices: products that a subgroup computes on the matrix units of its GPU. They are a draft extension of WebGPU,
 * behind a toggle in Dawn. Used with float16 operands and float32 results only: float32 operands are known from Apple's
 * GPUs alone, on which the shader could not be tested.
 */
import type { GpuAdapter } from './gpu.ts';
import { CANDIDATES, tileColumns, tileInvocations, tileRows, type MatrixUnit, type Tile } from './tiles.ts';
import { matrixPanelLength } from './kernels/gemm-panels.ts';

export const SUBGROUP_MATRICES = 'chromium-experimental-subgroup-matrix';

/** Features that a device needs for them. */
export const matrixFeatures = ['subgroups', SUBGROUP_MATRICES] as const;

/**
 * The largest unit of float16 operands and float32 results; undefined without one. Subgroups must all have one size, since a
 * workgroup is divided among them when its shader is written.
 */
export function matrixUnitOf({ features, info }: GpuAdapter): MatrixUnit | undefined {
  const { subgroupMatrixConfigs = [], subgroupMinSize, subgroupMaxSize } = info;
  if (!matrixFeatures.every((name) => features.has(name))) return undefined;
  if (subgroupMaxSize === undefined || subgroupMinSize !== subgroupMaxSize) return undefined;
  const [unit] = [...subgroupMatrixConfigs]
    .filter(
      ({ componentType, resultComponentType }) => componentType === 'f16' && resultComponentType === 'f32',
    )
    .sort((one, other) => other.M * other.N * other.K - one.M * one.N * one.K);
  return unit && { M: unit.M, N: unit.N, K: unit.K, invocations: subgroupMaxSize };
}

/**
 * Subgroups of a workgroup across and down, the rows and columns of c that each computes, and the depth of a panel. The largest
 * come first: they read each operand the fewest times, and measurements end after two seconds.
 */
const SHAPES = [
  [4, 2, 64, 32, 32],
  [4, 2, 64, 32, 16],
  [4, 2, 32, 32, 16],
  [2, 4, 32, 32, 16],
  [2, 2, 32, 32, 32],
  [2, 2, 32, 32, 16],
  [2, 2, 16, 16, 32],
  [2, 2, 16, 16, 16],
] as const;

/** Invocations per workgroup that every GPU supports. */
const MOST_INVOCATIONS = 256;

/** Bytes of workgroup memory of a tile, whatever operands are transposed. */
export function matrixTileBytes(tile: Tile): number {
  const { across, down, depth, unit } = tile;
  const panels = [tileRows(tile), tileColumns(tile)].map((lines) =>
    Math.max(...[true, false].map((isDepthFirst) => matrixPanelLength({ lines, isDepthFirst }, depth))),
  );
  return 2 * (panels[0] + panels[1]) + 4 * across * down * unit!.M * unit!.N;
}

/** Tiles of subgroup matrices to measure. @param workgroupBytes workgroup memory that the GPU allows */
export function matrixTiles(unit: MatrixUnit, workgroupBytes: number): readonly Tile[] {
  return SHAPES.filter(
    ([, , height, width, depth]) => height % unit.M === 0 && width % unit.N === 0 && depth % unit.K === 0,
  )
    .map(([across, down, height, width, depth]) => ({
      across,
      down,
      rows: height / unit.M,
      columns: width / unit.N,
      depth,
      unit,
    }))
    .filter((tile) => tileInvocations(tile) <= MOST_INVOCATIONS && matrixTileBytes(tile) <= workgroupBytes);
}

/** Every tile that may be chosen, in the order of measurement: those of subgroup matrices, where the GPU has a unit, come first. */
export const candidatesWith = (unit: MatrixUnit | undefined, workgroupBytes: number): readonly Tile[] =>
  unit === undefined ? CANDIDATES : [...matrixTiles(unit, workgroupBytes), ...CANDIDATES];
