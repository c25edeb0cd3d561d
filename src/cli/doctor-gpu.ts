/** What `gpt doctor` says about the GPU. */
import { openGpu } from '../engine/backend.ts';
import { findAdapter, hasWebGpu } from '../engine/webgpu-package.ts';
import { bufferLimit } from '../engine/webgpu/limits.ts';
import { shapeClasses, tileNames, type ShapeClass } from '../engine/webgpu/tiles.ts';
import { UserError } from '../errors.ts';
import { formatBytes } from '../format.ts';
import { growingGemm, growingRead } from '../engine/gpu-rates.ts';
import { printable } from './terminal.ts';

export type GpuFindings =
  | { readonly problem: string }
  | {
      readonly name: string;
      /** The largest memory of a model with its activations. */
      readonly bufferBytes: number;
      /** In FLOP/s. */
      readonly gemmFlops: number;
      /** In bytes/s. */
      readonly readBandwidth: number;
      /** Of GEMM, by the size of the result; absent from a forecast. */
      readonly tiles?: Readonly<Record<ShapeClass, string>>;
    };

/** Undefined if the npm package `webgpu` is not installed. */
export async function examineGpu(
  seconds: number,
  progress: (what: string) => void,
): Promise<GpuFindings | undefined> {
  if (!(await hasWebGpu())) return undefined;
  progress('measuring the GPU');
  try {
    const bufferBytes = bufferLimit((await findAdapter()).limits);
    const device = await openGpu();
    try {
      const gemmFlops = await growingGemm(device, seconds);
      device.clear();
      const readBandwidth = await growingRead(device, seconds);
      return { name: device.name, bufferBytes, gemmFlops, readBandwidth, tiles: tileNames(device.tiles) };
    } finally {
      await device.close();
    }
  } catch (error) {
    if (error instanceof UserError) return { problem: error.message };
    throw error;
  }
}

/** Rows of the table of facts. */
export function gpuFacts(gpu: GpuFindings | undefined): readonly (readonly [string, string])[] {
  if (gpu === undefined) return [];
  if ('problem' in gpu) return [['gpu', printable(gpu.problem)]];
  const { name, bufferBytes, gemmFlops, readBandwidth, tiles } = gpu;
  const rates = `${(gemmFlops / 1e9).toPrecision(3)} GFLOP/s GEMM; ${(readBandwidth / 1e9).toPrecision(3)} GB/s read bandwidth`;
  return [
    ['gpu', `${printable(name)}, models of up to ${formatBytes(bufferBytes)} with activations`],
    ['', rates],
    ...(tiles === undefined
      ? []
      : [['', `GEMM tiles: ${shapeClasses.map((size) => `${size} ${tiles[size]}`).join(', ')}`] as const]),
  ];
}
