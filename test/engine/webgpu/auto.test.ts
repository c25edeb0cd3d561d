/** `--device auto` and the search for a GPU, with one that fails. test/webgpu/ has one that works. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { chooseBackend, openFaster } from '../../../src/engine/backend.ts';
import {
  chooseDevice,
  gpuMemoryLimit,
  isDeviceUndecided,
  isGpuAllowed,
} from '../../../src/engine/device-choice.ts';
import type { Device } from '../../../src/engine/device.ts';
import { findAdapter } from '../../../src/engine/webgpu-package.ts';
import type { Gpu } from '../../../src/engine/webgpu/gpu.ts';
import { setTileFolder } from '../../../src/engine/webgpu/tile-cache.ts';
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
    variant: 'webgpu',
    reason: expect.stringContaining('the instance was dropped'),
  });
  await backend.close();
  await chooseDevice('cpu');
  const named = await chooseBackend({ threads: 1 });
  expect(named.rejected.filter(({ variant }) => variant === 'webgpu')).toEqual([]);
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
    const reasons = rejected.filter(({ variant }) => variant === 'webgpu' || variant === 'cpu');
    return { onGpu, isGpu: isGpu(backend), reasons };
  }

  test('a GPU that is predicted to take over eight is not measured', async () => {
    expect(await decide(8.1, 1)).toEqual({
      onGpu: undefined,
      isGpu: false,
      reasons: [{ variant: 'webgpu', reason: 'a step would take about 8,100 ms, and 2,000 ms on the CPU' }],
    });
  });

  test.each([
    [3, false, { variant: 'webgpu', reason: 'a step takes 3,000 ms, and 2,000 ms on the CPU' }],
    [0.05, true, { variant: 'cpu', reason: 'a step takes 2,000 ms, and 50.0 ms on the GPU' }],
  ] as const)('otherwise it is measured: %d seconds', async (measured, isChosen, reason) => {
    expect(await decide(7.9, measured)).toEqual({ onGpu: measured, isGpu: isChosen, reasons: [reason] });
  });
});

test('a GPU without float16 computes in float32 under auto, which is said with the reason', async () => {
  const gpu = failingGpu();
  provide(() => Promise.resolve(gpu.adapter));
  await chooseDevice('auto');
  const { backend, rejected } = await openFaster(
    { threads: 1, matmulPrecision: 'float16' },
    { name: 'a step', measure: (device) => Promise.resolve(isGpu(device) ? 1 : 2) },
  );
  expect(backend.name).toBe('webgpu acme gen-3');
  const { reason } = rejected.find(({ variant }) => variant === 'float16')!;
  expect(reason).toContain('has no float16 arithmetic');
  await backend.close();
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
    expect(rejected.find(({ variant }) => variant === 'webgpu')?.reason).toContain(reason);
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
