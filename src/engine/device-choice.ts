/** The device on which the programs of this process run. */
import { findAdapter } from './webgpu-package.ts';
import { bufferLimit } from './webgpu/limits.ts';

export const deviceChoices = ['cpu', 'webgpu'] as const;
export type DeviceChoice = (typeof deviceChoices)[number];

/** The largest memory of the GPU in bytes, while it is the chosen device. */
let gpuLimit: number | undefined;

/** @throws UserError if a GPU is chosen and there is none that can be used */
export async function chooseDevice(choice: DeviceChoice): Promise<void> {
  gpuLimit = choice === 'webgpu' ? bufferLimit((await findAdapter()).limits) : undefined;
}

/** Bytes that a program may use on the chosen GPU; undefined while programs run on the CPU. */
export const gpuMemoryLimit = (): number | undefined => gpuLimit;
