/** The GPU in `gpt doctor`. */
import { openGpu } from '../engine/backend.ts';
import { findAdapter } from '../engine/webgpu-package.ts';
import { bufferLimit } from '../engine/webgpu/limits.ts';
import { FLOAT16 } from '../engine/webgpu/gpu.ts';
import { matrixUnitOf } from '../engine/webgpu/subgroup-matrices.ts';
import { shapeClasses, tileNames, unitName, type ShapeClass } from '../engine/webgpu/tiles.ts';
import { UserError } from '../errors.ts';
import { formatBytes } from '../format.ts';
import { growingGemm, growingRead } from '../engine/gpu-rates.ts';
import { printable } from './terminal.ts';

export type GpuFindings =
  | { readonly problem: string }
  | {
      readonly name: string;
      /** Memory limit of a model with its activations. */
      readonly bufferBytes: number;
      /** Precisions for training besides float32; absent from a forecast. */
      readonly precisions?: GpuPrecisions;
      /** In FLOP/s. */
      readonly gemmFlops: number;
      /** In bytes/s. */
      readonly readBandwidth: number;
      /** GEMM tiles by size of the result matrix; absent from a forecast. */
      readonly tiles?: Readonly<Record<ShapeClass, string>>;
    };

interface GpuPrecisions {
  readonly hasFloat16: boolean;
  /** Of float16 operands: '16×16×16'; undefined without such subgroup matrices. */
  readonly subgroupMatrices: string | undefined;
}

async function examinePrecisions(): Promise<GpuPrecisions> {
  const adapter = await findAdapter({ allowsExperimental: true });
  const unit = matrixUnitOf(adapter);
  return {
    hasFloat16: adapter.features.has(FLOAT16),
    subgroupMatrices: unit === undefined ? undefined : unitName(unit),
  };
}

export async function examineGpu(seconds: number, progress: (what: string) => void): Promise<GpuFindings> {
  progress('measuring the GPU');
  try {
    const bufferBytes = bufferLimit((await findAdapter()).limits);
    const precisions = await examinePrecisions();
    const device = await openGpu();
    try {
      const gemmFlops = await growingGemm(device, seconds);
      device.clear();
      const readBandwidth = await growingRead(device, seconds);
      const tiles = tileNames(device.tiles);
      return { name: device.name, bufferBytes, precisions, gemmFlops, readBandwidth, tiles };
    } finally {
      await device.close();
    }
  } catch (error) {
    if (error instanceof UserError) return { problem: error.message };
    throw error;
  }
}

/** Rows of the table of facts. */
export function gpuFacts(gpu: GpuFindings): readonly (readonly [string, string])[] {
  if ('problem' in gpu) return [['gpu', `none: ${printable(gpu.problem)}`]];
  const { name, bufferBytes, precisions, gemmFlops, readBandwidth, tiles } = gpu;
  const rates = `${(gemmFlops / 1e9).toPrecision(3)} GFLOP/s GEMM; ${(readBandwidth / 1e9).toPrecision(3)} GB/s read bandwidth`;
  return [
    ['gpu', `${printable(name)}, models of up to ${formatBytes(bufferBytes)} with activations`],
    ['', rates],
    ...(precisions === undefined ? [] : [['', describePrecisions(precisions)] as const]),
    ...(tiles === undefined
      ? []
      : [['', `GEMM tiles: ${shapeClasses.map((size) => `${size} ${tiles[size]}`).join(', ')}`] as const]),
  ];
}

const describePrecisions = ({ hasFloat16, subgroupMatrices }: GpuPrecisions): string =>
  hasFloat16
    ? `float16 GEMM (--matmul-precision), ${subgroupMatrices === undefined ? 'no subgroup matrices' : `subgroup matrices of ${subgroupMatrices}`}`
    : 'no float16 GEMM';
