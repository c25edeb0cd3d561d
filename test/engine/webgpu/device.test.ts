/** What goes wrong on a GPU, with one that does nothing but fail. */
import { describe, expect, test, vi } from 'vitest';
import { EngineMemoryError } from '../../../src/engine/engine-memory-error.ts';
import { WebGpuDevice } from '../../../src/engine/webgpu/device.ts';
import { matrixTiles } from '../../../src/engine/webgpu/subgroup-matrices.ts';
import { CANDIDATES, STANDARD_TILES, type Tiles } from '../../../src/engine/webgpu/tiles.ts';
import { failingGpu, openFailingGpu } from '../../fixtures/failing-gpu.ts';
import { failure } from '../../fixtures/failure.ts';

class GPUOutOfMemoryError {
  readonly message = 'no memory left\nat some line of the driver';
}
class GPUValidationError {
  readonly message = 'binding 3 is too large\nat some line of the driver';
}

describe('a WebGPU device', () => {
  test('is named after its adapter', async () => {
    expect((await openFailingGpu()).device.name).toBe('webgpu acme gen-3');
  });

  test('refuses more memory than one binding may have, with both sizes', async () => {
    const { device } = await openFailingGpu();
    device.reserve(1000);
    expect(device.size).toBe(1000);
    expect(() => device.reserve(2_000_000)).toThrow(EngineMemoryError);
    expect(() => device.reserve(2_000_000)).toThrow(failure('out-of-memory', '8 MB', 'webgpu acme gen-3'));
  });

  test('reports what its driver reports, at the next finish, in one line', async () => {
    const { device, report } = await openFailingGpu();
    await device.finish();
    report(new GPUValidationError());
    await expect(device.finish()).rejects.toThrow(failure('device-failed', 'binding 3 is too large'));
    await expect(device.finish()).rejects.not.toThrow('driver');
    const full = await openFailingGpu();
    full.report(new GPUOutOfMemoryError());
    await expect(full.device.finish()).rejects.toThrow(failure('out-of-memory'));
  });

  test('reports that it was lost, but not that it was closed', async () => {
    const { device, lose } = await openFailingGpu();
    await lose('the driver was reset\nmore');
    await expect(device.finish()).rejects.toThrow(failure('device-failed', 'lost', 'the driver was reset'));
    const closed = await openFailingGpu();
    await closed.device.close();
    await expect(closed.device.finish()).resolves.toBeUndefined();
  });

  test('that cannot be opened says why, and what to do', async () => {
    const { adapter } = failingGpu(() => Promise.reject(new Error('no queue\nat some line of the driver')));
    const opening = WebGpuDevice.open(adapter);
    await expect(opening).rejects.toThrow(failure('engine-unavailable', 'no queue'));
    await expect(opening).rejects.toMatchObject({ hint: expect.stringContaining('driver') });
    await expect(opening).rejects.not.toThrow('some line');
  });

  test('that lacks float16 says so, and what to do', async () => {
    const opening = WebGpuDevice.open(failingGpu().adapter, 'float16');
    await expect(opening).rejects.toThrow(failure('engine-unavailable', 'webgpu acme gen-3', 'shader-f16'));
    await expect(opening).rejects.toMatchObject({ hint: expect.stringContaining('float32') });
  });

  test('is opened with the features of its precision, which its name shows', async () => {
    const { adapter } = failingGpu();
    const matrices = { M: 16, N: 16, K: 16, componentType: 'f16', resultComponentType: 'f32' };
    const info = {
      ...adapter.info,
      subgroupMinSize: 32,
      subgroupMaxSize: 32,
      subgroupMatrixConfigs: [matrices],
    };
    const requestDevice = vi.fn<typeof adapter.requestDevice>((wanted) => adapter.requestDevice(wanted));
    const open = (features: readonly string[], precision?: 'float16', hasMatrices?: boolean) =>
      WebGpuDevice.open({ ...adapter, info, features: new Set(features), requestDevice }, precision, {
        hasMatrices,
      });
    const all = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'];
    const single = await open(all);
    expect(requestDevice.mock.lastCall![0]).not.toHaveProperty('requiredFeatures');
    expect([single.name, single.precision]).toEqual(['webgpu acme gen-3', 'float32']);
    const half = await open(['shader-f16'], 'float16');
    expect(requestDevice.mock.lastCall![0]).toMatchObject({ requiredFeatures: ['shader-f16'] });
    expect([half.name, half.precision]).toEqual(['webgpu acme gen-3, float16 GEMM', 'float16']);
    expect(half.candidates).toEqual(CANDIDATES);
    const { candidates } = await open(all, 'float16');
    expect(requestDevice.mock.lastCall![0]).toMatchObject({ requiredFeatures: all });
    expect(candidates.length).toBeGreaterThan(CANDIDATES.length);
    const without = await open(all, 'float16', false);
    expect(requestDevice.mock.lastCall![0]).toMatchObject({ requiredFeatures: ['shader-f16'] });
    expect([without.precision, without.candidates]).toEqual(['float16', CANDIDATES]);
    requestDevice.mockRejectedValue(new Error('no queue'));
    await expect(open(all, 'float16')).rejects.toThrow(failure('engine-unavailable', 'no queue'));
  });

  test('is named after its tiles of subgroup matrices, by which its results differ', async () => {
    const { device } = await openFailingGpu();
    const [first, second] = matrixTiles({ M: 16, N: 16, K: 16, invocations: 32 }, 32_768);
    const nameWith = (tiles: Partial<Tiles>): string => {
      device.tiles = { ...STANDARD_TILES, ...tiles };
      return device.name;
    };
    expect(nameWith({ huge: CANDIDATES[1] })).toBe('webgpu acme gen-3');
    const name = nameWith({ huge: first });
    expect(name).toMatch(/^webgpu acme gen-3, matrix tiles [0-9a-f]{4}$/);
    expect(nameWith({ huge: first, small: CANDIDATES[12] })).toBe(name);
    expect(nameWith({ huge: second })).not.toBe(name);
    expect(nameWith({ large: first })).not.toBe(name);
  });

  test('drops a shader that does not compile, and only this one', async () => {
    const { device, refuse } = await openFailingGpu();
    const n = 4;
    const part = { offset: 0, length: n };
    const add = { kernel: 'add', label: '', args: { a: part, b: part, y: part, n } } as const;
    refuse('module');
    expect(await device.compile([add])).toBe(false);
    refuse('pipeline');
    expect(await device.compile([add])).toBe(false);
    refuse(undefined);
    expect(await device.compile([add])).toBe(true);
    await expect(device.finish()).resolves.toBeUndefined();
  });

  test('waits for the cause of a failed read, which is reported later', async () => {
    const refusing = await openFailingGpu();
    const refused = refusing.device.read(0, new Float32Array(1));
    setTimeout(() => refusing.report(new GPUValidationError()), 20);
    await expect(refused).rejects.toThrow(failure('device-failed', 'binding 3 is too large'));
    const leaving = await openFailingGpu();
    const interrupted = leaving.device.read(0, new Float32Array(1));
    setTimeout(() => void leaving.lose('the driver was reset'), 20);
    await expect(interrupted).rejects.toThrow(failure('device-failed', 'lost', 'the driver was reset'));
  });

  test('takes a failed read without a cause for a lost GPU', async () => {
    const { device } = await openFailingGpu();
    await expect(device.read(0, new Float32Array(1))).rejects.toThrow(
      failure('device-failed', 'lost', 'mapping failed'),
    );
  });
});
