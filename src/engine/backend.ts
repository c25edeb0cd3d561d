import { UserError } from '../errors.ts';
import type { Device } from './device.ts';
import { chooseDevice, gpuMemoryLimit, isDeviceUndecided } from './device-choice.ts';
import { EngineMemoryError } from './engine-memory-error.ts';
import type { MatmulPrecision } from './matmul-precision.ts';
import { createReferenceBackend } from './reference/backend.ts';
import { findAdapter } from './webgpu-package.ts';
import type { GpuAdapter } from './webgpu/gpu.ts';
import type { TiledDevice } from './webgpu/tune.ts';
import { createWasmBackend, forcedVariant, NoWasmError, type Rejection, type WasmOptions } from './wasm.ts';

export interface ChosenBackend {
  readonly backend: Device;
  /** Faster builds that do not work here, with the reasons. */
  readonly rejected: readonly Rejection[];
}

/**
 * A device that is started on first use and then shared, so that a run reuses the kernels and memory of an earlier
 * measurement. A closed device's memory is freed only by a full garbage collection, which a long run may never have.
 */
export interface LazyBackend {
  readonly threads: number;
  /** Of a GPU that is opened from now on; absent: float32. The CPU computes in float32. */
  matmulPrecision?: MatmulPrecision;
  open(): Promise<ChosenBackend>;
  /** Opens the faster device if that is still to be found; see `openFaster`. */
  openFaster(measure: Measure): Promise<void>;
  close(): Promise<void>;
}

/** Seconds that some work takes on a device, whose memory is unused before and afterwards. */
export type Measure = (device: Device) => Promise<number>;

export interface BackendOptions extends WasmOptions {
  /** See LazyBackend. */
  readonly matmulPrecision?: MatmulPrecision | undefined;
}

export function lazyBackend(options: BackendOptions & { readonly threads: number }): LazyBackend {
  let chosen: ChosenBackend | undefined;
  const { matmulPrecision } = options;
  return {
    threads: options.threads,
    ...(matmulPrecision !== undefined && { matmulPrecision }),
    async open() {
      return (chosen ??= await chooseBackend({ ...options, matmulPrecision: this.matmulPrecision }));
    },
    async openFaster(measure) {
      if (!isDeviceUndecided()) return;
      chosen = await openFaster({ ...options, matmulPrecision: this.matmulPrecision }, measure);
    },
    close: async () => chosen?.backend.close(),
  };
}

/** Starts the GPU if it is the chosen device, or else the fastest backend of the CPU that works here: SIMD kernels, or the reference. */
export async function chooseBackend({
  matmulPrecision,
  ...options
}: BackendOptions = {}): Promise<ChosenBackend> {
  if (gpuMemoryLimit() !== undefined) {
    return { backend: await openGpu(matmulPrecision), rejected: [] };
  }
  try {
    const backend = await createWasmBackend(options);
    return { backend, rejected: backend.rejected };
  } catch (error) {
    if (!(error instanceof NoWasmError)) throw error;
    const forced = options.variant ?? forcedVariant();
    if (forced !== undefined)
      throw new UserError(
        'engine-unavailable',
        `the engine '${forced}' does not work here: ${error.rejected[0].reason}`,
        {
          hint: 'without GPT_ENGINE, the fastest engine that works is used',
          cause: error,
        },
      );
    return { backend: createReferenceBackend('float32'), rejected: error.rejected };
  }
}

/** @throws UserError if there is no GPU that can be used, or that has this precision */
export async function openGpu(precision: MatmulPrecision = 'float32'): Promise<TiledDevice> {
  const { WebGpuDevice } = await import('./webgpu/device.ts'); // 90 KB that the CPU does not need
  const { chooseTiles } = await import('./webgpu/tile-cache.ts');
  const find = (): Promise<GpuAdapter> => findAdapter({ hasSubgroupMatrices: precision === 'float16' });
  const adapter = await find();
  const device = await WebGpuDevice.open(adapter, precision);
  try {
    await chooseTiles(device, adapter.info);
    return device;
  } catch {
    // It may still do its work in the standard tiles; if not, it says why.
    await device.close();
    return WebGpuDevice.open(await find(), precision);
  }
}

/**
 * Starts CPU and GPU, and chooses the one on which the work takes less time for all programs from now on. A device whose memory
 * it exceeds takes forever; a GPU that fails in any way is rejected.
 */
export async function openFaster(options: BackendOptions, measure: Measure): Promise<ChosenBackend> {
  await chooseDevice('cpu');
  const cpu = await chooseBackend(options);
  try {
    const seconds = await measure(cpu.backend).catch(foreverIfTooLarge);
    const found = await openGpuIfFaster(seconds, measure, options.matmulPrecision);
    if ('variant' in found) return { ...cpu, rejected: [...cpu.rejected, found] };
    if (found.gpu === undefined) return cpu;
    await cpu.backend.close();
    return { backend: found.gpu, rejected: [] };
  } catch (error) {
    await cpu.backend.close();
    throw error;
  }
}

/** Opens and chooses the GPU if the work takes less than `seconds` on it; otherwise the CPU stays chosen. */
async function openGpuIfFaster(
  seconds: number,
  measure: Measure,
  precision: MatmulPrecision | undefined,
): Promise<{ readonly gpu: Device | undefined } | Rejection> {
  let gpu: Device | undefined;
  let failure: Rejection | undefined;
  try {
    await chooseDevice('webgpu');
    gpu = await openGpu(precision);
    if ((await measure(gpu).catch(foreverIfTooLarge)) < seconds) return { gpu };
  } catch (error) {
    failure = { variant: 'webgpu', reason: error instanceof Error ? error.message : String(error) };
  }
  await chooseDevice('cpu');
  await gpu?.close();
  return failure ?? { gpu: undefined };
}

function foreverIfTooLarge(error: unknown): number {
  if (error instanceof EngineMemoryError) return Infinity;
  throw error;
}
