import { findAdapter, setWebGpuFolder } from '../../src/engine/webgpu-package.ts';
import { WebGpuDevice } from '../../src/engine/webgpu/device.ts';

setWebGpuFolder(process.env['GPT_WEBGPU']);

/** Opens the GPU that test/webgpu/run.sh prepared. */
export const openGpu = async (): Promise<WebGpuDevice> => WebGpuDevice.open(await findAdapter());
