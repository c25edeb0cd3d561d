/** `--device auto` and the search for a GPU, with one that fails. test/webgpu/ has one that works. */
import { mkdtempSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { reportUnused } from '../../../src/cli/model-options.ts';
import { chooseBackend, openFaster, openGpu } from '../../../src/engine/backend.ts';
import {
  chooseDevice,
  gpuMemoryLimit,
  isDeviceUndecided,
  isGpuAllowed,
} from '../../../src/engine/device-choice.ts';
import type { Device } from '../../../src/engine/device.ts';
import { EngineMemoryError } from '../../../src/engine/engine-memory-error.ts';
import { findAdapter } from '../../../src/engine/webgpu-package.ts';
import type { Gpu } from '../../../src/engine/webgpu/gpu.ts';
import { setTileFolder } from '../../../src/engine/webgpu/tile-cache.ts';
import { CANDIDATES, STANDARD_TILES } from '../../../src/engine/webgpu/tiles.ts';
import { failingGpu, type FailingGpu } from '../../fixtures/failing-gpu.ts';
import { failure } from '../../fixtures/failure.ts';

const RATES = { name: '', gemmFlops: 1, readBandwidth: 1, launchSeconds: 1 };
vi.mock('../../../src/engine/gpu-rates.ts', async (original) => ({
  ...(await original<object>()),
  measureRates: () => Promise.resolve(RATES),
}));

const provide = (requestAdapter: Gpu['requestAdapter']): void =>
  void vi.stubGlobal('navigator', { gpu: { requestAdapter } });
const isGpu = ({ name }: Device): boolean => name.startsWith('webgpu');

beforeEach(() => setTileFolder(undefined)); // other tests of this process may have set it
afterEach(async () => {
  vi.unstubAllGlobals();
  await chooseDevice('cpu');
});

test('a rejected request for an adapter says why, and what to do', async () => {
  provide(() => Promise.reject(new Error('the instance was dropped')));
  const search = findAdapter();
  await expect(search).rejects.toThrow(failure('engine-unavailable', 'the instance was dropped'));
  await expect(search).rejects.toMatchObject({ hint: expect.stringContaining('driver') });
  await chooseDevice('auto');
  expect(isDeviceUndecided()).toBe(false);
  const { backend, rejected } = await chooseBackend({ threads: 1 });
  expect(rejected.at(-1)).toEqual({
    what: 'webgpu',
    reason: expect.stringContaining('the instance was dropped'),
  });
  await backend.close();
  await chooseDevice('cpu');
  const named = await chooseBackend({ threads: 1 });
  expect(named.rejected.filter(({ what }) => what === 'webgpu')).toEqual([]);
  await named.backend.close();
});

describe('where the CPU takes two seconds', () => {
  /** Seconds that were measured on the GPU, or undefined; and what was chosen. */
  async function decide(predicted: number, measured: number) {
    const gpu = failingGpu();
    provide(() => Promise.resolve(gpu.adapter));
    await chooseDevice('auto');
    let onGpu: number | undefined;
    const { backend, rejected } = await openFaster(
      { threads: 1 },
      {
        name: 'a step',
        measure: (device) => Promise.resolve(isGpu(device) ? (onGpu = measured) : 2),
        predict: (rates) => (rates === RATES ? predicted : NaN),
      },
    );
    await backend.close();
    const reasons = rejected.filter(({ what }) => what === 'webgpu' || what === 'cpu');
    return { onGpu, isGpu: isGpu(backend), reasons };
  }

  test('a GPU that is predicted to take over eight is not measured', async () => {
    expect(await decide(8.1, 1)).toEqual({
      onGpu: undefined,
      isGpu: false,
      reasons: [{ what: 'webgpu', reason: 'a step would take about 8,100 ms, and 2,000 ms on the CPU' }],
    });
  });

  test.each([
    [3, false, { what: 'webgpu', reason: 'a step takes 3,000 ms, and 2,000 ms on the CPU' }],
    [0.05, true, { what: 'cpu', reason: 'a step takes 2,000 ms, and 50.0 ms on the GPU' }],
  ] as const)('otherwise it is measured: %d seconds', async (measured, isChosen, reason) => {
    expect(await decide(7.9, measured)).toEqual({ onGpu: measured, isGpu: isChosen, reasons: [reason] });
  });
});

test('a GPU need not be predicted where the CPU lacks the memory', async () => {
  provide(() => Promise.resolve(failingGpu().adapter));
  await chooseDevice('auto');
  const tooLarge = new EngineMemoryError('too large', { hint: 'smaller' });
  const predict = vi.fn(() => 1e9);
  const { backend, rejected } = await openFaster(
    { threads: 1 },
    {
      name: 'a step',
      measure: (device) => (isGpu(device) ? Promise.resolve(9) : Promise.reject(tooLarge)),
      predict,
    },
  );
  expect(isGpu(backend)).toBe(true);
  expect(rejected).toEqual([{ what: 'cpu', reason: 'a step needs more memory than the device has' }]);
  expect(predict).not.toHaveBeenCalled();
  await backend.close();
});

test('a GPU without float16 computes in float32 under auto, and a warning says why', async () => {
  const gpu = failingGpu();
  provide(() => Promise.resolve(gpu.adapter));
  await chooseDevice('auto');
  const { backend, rejected } = await openFaster(
    { threads: 1, matmulPrecision: 'float16' },
    { name: 'a step', measure: (device) => Promise.resolve(isGpu(device) ? 1 : 2) },
  );
  expect(backend.name).toBe('webgpu acme gen-3');
  const { reason } = rejected.find(({ what }) => what === 'float16')!;
  expect(reason).toContain('has no float16 arithmetic');
  await backend.close();
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  reportUnused(rejected);
  const warned = write.mock.calls.map(([line]) => String(line)).join('');
  write.mockRestore();
  expect(warned).toContain('warning: ');
  expect(warned).toContain('the GPU computes matrix products in float32: webgpu acme gen-3 has no float16');
});

test('a GPU without float16 is refused where it is required, and computes in float32 where it is optional', async () => {
  provide(() => Promise.resolve(failingGpu().adapter));
  await chooseDevice('webgpu');
  const half = { threads: 1, matmulPrecision: 'float16' } as const;
  await expect(chooseBackend(half)).rejects.toThrow(failure('engine-unavailable', 'no float16 arithmetic'));
  const { backend, rejected } = await chooseBackend({ ...half, isPrecisionOptional: true });
  expect(backend.name).toBe('webgpu acme gen-3');
  expect(rejected).toEqual([{ what: 'float16', reason: expect.stringContaining('no float16 arithmetic') }]);
});

test('a GPU with float16 that cannot be opened is refused, even where the precision is optional', async () => {
  const { adapter } = failingGpu(() => Promise.reject(new Error('no queue')));
  provide(() => Promise.resolve({ ...adapter, features: new Set(['shader-f16']) }));
  await chooseDevice('webgpu');
  const half = { threads: 1, matmulPrecision: 'float16', isPrecisionOptional: true } as const;
  const opening = chooseBackend(half);
  await expect(opening).rejects.toThrow(failure('engine-unavailable', 'no queue'));
});

describe('a GPU that cannot be opened with its subgroup matrices', () => {
  const features = ['shader-f16', 'subgroups', 'chromium-experimental-subgroup-matrix'];

  /** Adapters of one GPU, each of which opens one device, as in WebGPU. @param errors of their requests */
  function provideMatrices(errors: readonly Error[]): (readonly string[])[] {
    const requests: (readonly string[])[] = [];
    provide(() => {
      const { adapter } = failingGpu();
      const unit = { M: 16, N: 16, K: 16, componentType: 'f16', resultComponentType: 'f32' };
      const sizes = { subgroupMinSize: 32, subgroupMaxSize: 32 };
      let isUsed = false;
      return Promise.resolve({
        ...adapter,
        info: { ...adapter.info, ...sizes, subgroupMatrixConfigs: [unit] },
        features: new Set(features),
        requestDevice: ({ requiredFeatures = [] } = {}) => {
          if (isUsed) return Promise.reject(new Error('the adapter is consumed'));
          isUsed = true;
          const error: Error | undefined = errors[requests.length];
          requests.push(requiredFeatures);
          return error === undefined ? adapter.requestDevice() : Promise.reject(error);
        },
      });
    });
    return requests;
  }

  test('is opened without, in the standard tiles, and keeps what was measured with them', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'matrices-'));
    setTileFolder(folder);
    const requests = provideMatrices([new TypeError('no such feature')]);
    const device = await openGpu('float16');
    expect(requests).toEqual([features, ['shader-f16']]);
    expect([device.precision, device.tiles]).toEqual(['float16', STANDARD_TILES]);
    expect(device.candidates).toEqual(CANDIDATES);
    expect(readdirSync(folder)).toEqual([]);
    await device.close();
  });

  test('nor without reports the first error', async () => {
    const requests = provideMatrices([new Error('out of device memory'), new Error('no queue')]);
    await expect(openGpu('float16')).rejects.toThrow(failure('engine-unavailable', 'out of device memory'));
    expect(requests).toHaveLength(2);
  });
});

test('what was asked for stays once auto has decided', async () => {
  provide(() => Promise.resolve(failingGpu().adapter));
  await chooseDevice('auto');
  const { backend } = await openFaster(
    { threads: 1 },
    { name: 'a step', measure: (device) => Promise.resolve(isGpu(device) ? 2 : 1) },
  );
  expect(isGpu(backend)).toBe(false);
  await backend.close();
  expect(isGpuAllowed()).toBe(true);
  await chooseDevice('cpu');
  expect(isGpuAllowed()).toBe(false);
});

describe('a GPU that fails under auto is left for the CPU', () => {
  let gpu: FailingGpu;
  const start = async (made: FailingGpu): Promise<void> => {
    gpu = made;
    provide(() => Promise.resolve(gpu.adapter));
    await chooseDevice('auto');
    expect(isDeviceUndecided()).toBe(true);
  };
  beforeEach(() => start(failingGpu()));

  /** Expects the CPU, open, and the reason. */
  async function expectCpu(measure: (device: Device) => Promise<number>, reason: string): Promise<void> {
    const { backend, rejected } = await openFaster({ threads: 1 }, { name: 'work', measure });
    expect(isGpu(backend)).toBe(false);
    expect(rejected.find(({ what }) => what === 'webgpu')?.reason).toContain(reason);
    expect(gpuMemoryLimit()).toBeUndefined();
    expect(isDeviceUndecided()).toBe(false);
    backend.reserve(4);
    backend.fill(0, 4, 7);
    expect([...(await backend.read(0, new Float32Array(4)))]).toEqual([7, 7, 7, 7]);
    await backend.close();
  }

  test('while it is measured', async () => {
    await expectCpu(async (device) => {
      if (!isGpu(device)) return 2;
      setTimeout(() => void gpu.lose('the driver was reset'), 5);
      await device.read(0, new Float32Array(1));
      return 1;
    }, 'the driver was reset');
    expect(gpu.isDestroyed()).toBe(true);
  });

  test('with an error of WebGPU itself', async () => {
    await expectCpu(
      (device) => (isGpu(device) ? Promise.reject(new TypeError('no such method')) : Promise.resolve(2)),
      'no such method',
    );
    expect(gpu.isDestroyed()).toBe(true);
  });

  test('while it is opened', async () => {
    await start(failingGpu(() => Promise.reject(new Error('no queue'))));
    await expectCpu(() => Promise.resolve(2), 'no queue');
  });

  test('when its adapter is gone', async () => {
    provide(() => Promise.resolve(null));
    await expectCpu(() => Promise.resolve(2), 'no GPU');
  });

  test('but what fails on the CPU is reported, without opening the GPU', async () => {
    const open = vi.spyOn(gpu.adapter, 'requestDevice');
    await expect(
      openFaster({ threads: 1 }, { name: 'work', measure: () => Promise.reject(new Error('a bug')) }),
    ).rejects.toThrow('a bug');
    expect(open).not.toHaveBeenCalled();
    expect(gpuMemoryLimit()).toBeUndefined();
  });
});
