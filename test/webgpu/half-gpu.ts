/** GPUs that multiply in float16. Their tests are skipped, with the reason, where there is none: SwiftShader has no float16. */
import { describe } from 'vitest';
import { findAdapter } from '../../src/engine/webgpu-package.ts';
import { WebGpuDevice } from '../../src/engine/webgpu/device.ts';
import { FLOAT16 } from '../../src/engine/webgpu/gpu.ts';
import { matrixUnitOf } from '../../src/engine/webgpu/subgroup-matrices.ts';
import { STANDARD_TILES, type MatrixUnit } from '../../src/engine/webgpu/tiles.ts';
import { whenReturned } from '../fixtures/returned-backends.ts';
import './open-gpu.ts';

const adapter = await findAdapter({ allowsExperimental: true });
export const gpuInfo = adapter.info;
const hasFloat16 = adapter.features.has(FLOAT16);
export const matrixUnit: MatrixUnit | undefined = matrixUnitOf(adapter);

const describeIf = (title: string, lacks: string | undefined, body: () => void): void => {
  if (lacks === undefined) describe(title, body);
  else describe.skip(`${title} (skipped: ${gpuInfo.description} has no ${lacks})`, body);
};
export const withFloat16 = (title: string, body: () => void): void =>
  describeIf(title, hasFloat16 ? undefined : FLOAT16, body);
export const withSubgroupMatrices = (title: string, body: () => void): void =>
  describeIf(title, matrixUnit === undefined ? 'subgroup matrices of float16' : undefined, body);

const idle: WebGpuDevice[] = [];

/** A device with GEMM in float16 and the standard tiles. */
export async function borrowHalfGpu(): Promise<WebGpuDevice> {
  // An adapter can open one device.
  const device =
    idle.pop() ?? (await WebGpuDevice.open(await findAdapter({ allowsExperimental: true }), 'float16'));
  whenReturned(() => {
    device.clear();
    device.tiles = STANDARD_TILES;
    idle.push(device);
  });
  return device;
}
