/** What goes wrong on a GPU, with one that does nothing but fail. */
import { describe, expect, test } from 'vitest';
import { EngineMemoryError } from '../../../src/engine/engine-memory-error.ts';
import { WebGpuDevice } from '../../../src/engine/webgpu/device.ts';
import type { GpuAdapter, GpuDevice, GpuError } from '../../../src/engine/webgpu/gpu.ts';
import { failure } from '../../fixtures/failure.ts';

class GPUOutOfMemoryError {
  readonly message = 'no memory left\nat some line of the driver';
}
class GPUValidationError {
  readonly message = 'binding 3 is too large\nat some line of the driver';
}

/** A GPU of 4,000 bytes, and what makes it fail. */
async function failingGpu(): Promise<{
  device: WebGpuDevice;
  report: (error: GpuError) => void;
  lose: (message: string) => Promise<void>;
}> {
  const limits = {
    maxBufferSize: 8000,
    maxStorageBufferBindingSize: 4000,
    maxComputeWorkgroupsPerDimension: 65_535,
  };
  const lost = Promise.withResolvers<{ reason: string; message: string }>();
  const gpu = {
    limits,
    lost: lost.promise,
    queue: { onSubmittedWorkDone: () => Promise.resolve(), submit: () => {} },
    createBuffer: ({ size }: { readonly size: number }) => ({ size, destroy: () => {} }),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    onuncapturederror: null,
    destroy: () => lost.resolve({ reason: 'destroyed', message: 'destroyed' }),
  } as unknown as GpuDevice;
  const info = { vendor: 'acme', architecture: 'gen-3', device: '', description: 'Acme GPU' };
  const adapter: GpuAdapter = { info, limits, requestDevice: () => Promise.resolve(gpu) };
  const device = await WebGpuDevice.open(adapter);
  return {
    device,
    report: (error) => gpu.onuncapturederror!({ error }),
    lose: async (message) => {
      lost.resolve({ reason: 'unknown', message });
      await gpu.lost;
    },
  };
}

describe('a WebGPU device', () => {
  test('is named after its adapter', async () => {
    expect((await failingGpu()).device.name).toBe('webgpu acme gen-3');
  });

  test('refuses more memory than one binding may have, with both sizes', async () => {
    const { device } = await failingGpu();
    device.reserve(1000);
    expect(device.size).toBe(1000);
    expect(() => device.reserve(2_000_000)).toThrow(EngineMemoryError);
    expect(() => device.reserve(2_000_000)).toThrow(failure('out-of-memory', '8 MB', 'webgpu acme gen-3'));
  });

  test('reports what its driver reports, at the next finish, in one line', async () => {
    const { device, report } = await failingGpu();
    await device.finish();
    report(new GPUValidationError());
    await expect(device.finish()).rejects.toThrow(failure('device-failed', 'binding 3 is too large'));
    await expect(device.finish()).rejects.not.toThrow('driver');
    const full = await failingGpu();
    full.report(new GPUOutOfMemoryError());
    await expect(full.device.finish()).rejects.toThrow(failure('out-of-memory'));
  });

  test('reports that it was lost, but not that it was closed', async () => {
    const { device, lose } = await failingGpu();
    await lose('the driver was reset\nmore');
    await expect(device.finish()).rejects.toThrow(failure('device-failed', 'lost', 'the driver was reset'));
    const closed = await failingGpu();
    await closed.device.close();
    await expect(closed.device.finish()).resolves.toBeUndefined();
  });
});
