import { UserError } from '../errors.ts';
import { formatStep } from '../format.ts';
import type { Device } from './device.ts';
import { useDevice, gpuMemoryLimit, isDeviceUndecided, whyNotGpu } from './device-choice.ts';
import { EngineMemoryError } from './engine-memory-error.ts';
import { measureRates, type GpuRates } from './gpu-rates.ts';
import type { MatmulPrecision } from './matmul-precision.ts';
import { createReferenceBackend } from './reference/backend.ts';
import { findAdapter } from './webgpu-package.ts';
import { FLOAT16, type GpuAdapter } from './webgpu/gpu.ts';
import type { TiledDevice } from './webgpu/tune.ts';
import type { Rejection } from './rejection.ts';
import { createWasmBackend, forcedVariant, NoWasmError, type WasmOptions } from './wasm.ts';

export interface ChosenBackend {
  readonly backend: Device;
  /** Possibly faster alternatives that are not used, and why. */
  readonly rejected: readonly Rejection[];
}

/**
 * A device that is started on first use and then shared, so that a run reuses the kernels and memory of an earlier
 * measurement. A closed device's memory is freed only by a full garbage collection, which a long run may never have.
 */
export interface LazyBackend {
  readonly threads: number;
  /** Precision of a GPU that is opened from now on; absent: float32. The CPU computes in float32. */
  matmulPrecision?: MatmulPrecision;
  /** See BackendOptions. */
  isPrecisionOptional?: boolean;
  open(): Promise<ChosenBackend>;
  /** Opens the faster device if it has not been determined yet; see `openFaster`. */
  openFaster(work: DecidingWork): Promise<void>;
  close(): Promise<void>;
}

/** The work by which the faster of CPU and GPU is determined. */
export interface DecidingWork {
  /** For messages: 'a step'. */
  readonly name: string;
  /** Seconds that it takes on a device, whose memory is unused before and afterwards. */
  readonly measure: (device: Device) => Promise<number>;
  /**
   * Seconds that it takes on a GPU of these rates, if nothing else bounds it. A GPU that would clearly be slower than the CPU is
   * not measured: what was submitted to it cannot be stopped.
   */
  readonly predict?: (rates: GpuRates) => number;
}

export interface BackendOptions extends WasmOptions {
  /** See LazyBackend. */
  readonly matmulPrecision?: MatmulPrecision | undefined;
  /** Whether a GPU that lacks the precision computes in float32, with the reason in `rejected`, instead of being refused. */
  readonly isPrecisionOptional?: boolean | undefined;
}

export function lazyBackend(options: BackendOptions & { readonly threads: number }): LazyBackend {
  let chosen: ChosenBackend | undefined;
  const { matmulPrecision } = options;
  return {
    threads: options.threads,
    ...(matmulPrecision !== undefined && { matmulPrecision }),
    async open() {
      const { matmulPrecision: precision, isPrecisionOptional } = this;
      chosen ??= await chooseBackend({ ...options, matmulPrecision: precision, isPrecisionOptional });
      return chosen;
    },
    async openFaster(work) {
      if (!isDeviceUndecided()) return;
      chosen = await openFaster({ ...options, matmulPrecision: this.matmulPrecision }, work);
    },
    close: async () => chosen?.backend.close(),
  };
}

/** Starts the GPU if it is the chosen device, or else the fastest CPU backend that works here: SIMD kernels, or the reference. */
export async function chooseBackend({
  matmulPrecision,
  isPrecisionOptional = false,
  ...options
}: BackendOptions = {}): Promise<ChosenBackend> {
  if (gpuMemoryLimit() !== undefined) {
    if (!isPrecisionOptional) return { backend: await openGpu(matmulPrecision), rejected: [] };
    const { gpu, lacking } = await openInAnyPrecision(matmulPrecision);
    return { backend: gpu, rejected: lacking };
  }
  try {
    const backend = await createWasmBackend(options);
    return { backend, rejected: [...backend.rejected, ...gpuRejection()] };
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
    return { backend: createReferenceBackend('float32'), rejected: [...error.rejected, ...gpuRejection()] };
  }
}

/** @throws UserError if there is no GPU that can be used, or that has this precision */
export async function openGpu(precision: MatmulPrecision = 'float32'): Promise<TiledDevice> {
  const { WebGpuDevice } = await import('./webgpu/device.ts'); // 90 KB that the CPU does not need
  const { chooseTiles } = await import('./webgpu/tile-cache.ts');
  const { matrixUnitOf } = await import('./webgpu/subgroup-matrices.ts');
  const find = (): Promise<GpuAdapter> => findAdapter({ allowsExperimental: precision === 'float16' });
  const adapter = await find();
  let device: TiledDevice;
  try {
    device = await WebGpuDevice.open(adapter, precision);
  } catch (error) {
    if (precision === 'float32' || matrixUnitOf(adapter) === undefined) throw error;
    // Subgroup matrices, a draft extension, may fail where float16 does not. An adapter opens only one device; if this one
    // fails too, the first error has the cause. Nothing is measured, so that the tiles cached with matrices stay valid.
    const withoutMatrices = async () => WebGpuDevice.open(await find(), precision, { hasMatrices: false });
    return withoutMatrices().catch(() => {
      throw error;
    });
  }
  try {
    await chooseTiles(device, adapter.info);
    return device;
  } catch {
    // The device may still work with the standard tiles; if not, opening it reports why.
    await device.close();
    return WebGpuDevice.open(await find(), precision);
  }
}

/** Why `auto` is the CPU, if that was clear without a measurement. */
function gpuRejection(): Rejection[] {
  const reason = whyNotGpu();
  return reason === undefined ? [] : [{ what: 'webgpu', reason }];
}

/**
 * Starts CPU and GPU, and chooses the one on which the work takes less time for all programs from now on. A device whose memory
 * it exceeds counts as infinitely slow; a GPU that fails in any way is rejected.
 */
export async function openFaster(options: BackendOptions, work: DecidingWork): Promise<ChosenBackend> {
  await useDevice('cpu');
  const cpu = await chooseBackend(options);
  try {
    const seconds = await work.measure(cpu.backend).catch(foreverIfTooLarge);
    const found = await openGpuIfFaster(seconds, work, options.matmulPrecision);
    if ('what' in found) return { ...cpu, rejected: [...cpu.rejected, found] };
    await cpu.backend.close();
    const reason = compared(work, { here: seconds, there: found.seconds, other: 'GPU' });
    return { backend: found.gpu, rejected: [{ what: 'cpu', reason }, ...found.lacking] };
  } catch (error) {
    await cpu.backend.close();
    throw error;
  }
}

/** Opens and chooses the GPU if the work takes less than `cpuSeconds` on it; otherwise the CPU stays chosen. */
async function openGpuIfFaster(
  cpuSeconds: number,
  work: DecidingWork,
  precision: MatmulPrecision | undefined,
): Promise<{ readonly gpu: Device; readonly seconds: number; readonly lacking: Rejection[] } | Rejection> {
  let gpu: Device | undefined;
  let reason: string;
  try {
    await useDevice('webgpu');
    const opened = await openInAnyPrecision(precision);
    ({ gpu } = opened);
    const { seconds, isPrediction } = await secondsOnGpu(gpu, cpuSeconds, work);
    if (seconds < cpuSeconds) return { gpu, seconds, lacking: opened.lacking };
    reason = compared(work, { here: seconds, there: cpuSeconds, other: 'CPU', isPrediction });
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  await useDevice('cpu');
  await gpu?.close();
  return { what: 'webgpu', reason };
}

/**
 * Falls back to float32 if the GPU lacks the precision, and gives the reason. Other failures are thrown: they may be transient,
 * and float32 would give other bits.
 */
async function openInAnyPrecision(
  precision: MatmulPrecision | undefined,
): Promise<{ readonly gpu: Device; readonly lacking: Rejection[] }> {
  try {
    return { gpu: await openGpu(precision), lacking: [] };
  } catch (error) {
    if (precision !== 'float16' || !(error instanceof UserError)) throw error;
    if ((await findAdapter()).features.has(FLOAT16)) throw error;
    return { gpu: await openGpu(), lacking: [{ what: precision, reason: error.message }] };
  }
}

/**
 * A GPU predicted to take longer than the CPU by this factor is not measured. Predictions are low where the rates of a roofline
 * are not reached, and high where tensors stay in L2; the factor has been tried on emulated GPUs only.
 */
const CLEARLY_SLOWER = 4;

async function secondsOnGpu(
  gpu: Device,
  cpuSeconds: number,
  { measure, predict }: DecidingWork,
): Promise<{ readonly seconds: number; readonly isPrediction: boolean }> {
  const isFaster = cpuSeconds === Infinity; // whatever its rates
  const predicted = isFaster ? 0 : (predict?.(await measureRates(gpu)) ?? 0);
  if (predicted > CLEARLY_SLOWER * cpuSeconds) return { seconds: predicted, isPrediction: true };
  return { seconds: await measure(gpu), isPrediction: false };
}

interface Comparison {
  /** Seconds on the device that is rejected, and on the other. */
  readonly here: number;
  readonly there: number;
  readonly other: 'CPU' | 'GPU';
  readonly isPrediction?: boolean;
}

/** 'a step takes 85.0 ms, and 12.0 ms on the GPU' */
function compared({ name }: DecidingWork, { here, there, other, isPrediction }: Comparison): string {
  if (here === Infinity) return `${name} needs more memory than the device has`;
  const takes = isPrediction === true ? 'would take about' : 'takes';
  return `${name} ${takes} ${formatStep(here)}, and ${formatStep(there)} on the ${other}`;
}

function foreverIfTooLarge(error: unknown): number {
  if (error instanceof EngineMemoryError) return Infinity;
  throw error;
}
