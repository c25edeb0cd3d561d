/** test/fixtures/backends.ts for this suite (see vitest.config.ts): what other backends are tested with is run on the GPU. */
import type { Device } from '../../src/engine/device.ts';
import { whenReturned } from '../fixtures/returned-backends.ts';
import { openGpu } from './open-gpu.ts';

const idle: Device[] = [];

/** Devices are kept with the shaders that they have compiled, which takes longer than most tests. */
export async function borrowGpu(): Promise<Device> {
  const device = idle.pop() ?? (await openGpu());
  whenReturned(() => {
    device.clear();
    idle.push(device);
  });
  return device;
}

export const backends: Readonly<Record<string, () => Promise<Device>>> = { webgpu: borrowGpu };
