import { findAdapter, setWebGpuFolder } from '../../src/engine/webgpu-package.ts';
import { WebGpuDevice } from '../../src/engine/webgpu/device.ts';

/** Opens the GPU that test/webgpu/run.sh prepared. */
export async function openGpu(): Promise<WebGpuDevice> {
  setWebGpuFolder(process.env['GPT_WEBGPU']);
  return WebGpuDevice.open(await findAdapter());
}
