/** The fast backend: SIMD kernels in WebAssembly, on memory shared by worker threads. */
import { availableParallelism } from 'node:os';
import { MAX_THREADS } from './wasm/address-space.ts';
import { createReferenceBackend } from './reference/backend.ts';
import { whyNotNative } from './native/trial.ts';
import { checkDevice } from './try-kernel.ts';
import { enableRevectorization, whyNoWideVectors } from './wasm/builds.ts';
import { WasmDevice, type WasmDeviceOptions } from './wasm/device.ts';
import { variants, type Rejection, type Variant } from './wasm/variants.ts';

export { builds, variants, type Rejection } from './wasm/variants.ts';
export type { WasmDevice as WasmBackend } from './wasm/device.ts';

export interface WasmOptions extends WasmDeviceOptions {
  /** Threads to start, 1 … 64; default: the cores this process may use. */
  readonly threads?: number;
  /** Only this one, instead of the fastest that works. */
  readonly variant?: Variant;
}

/** The cores this process may use. */
export const defaultThreads = (): number => Math.min(availableParallelism(), MAX_THREADS);

/** No variant of the engine works here; `rejected` has the reasons. */
export class NoWasmError extends Error {
  override readonly name = 'NoWasmError';
  readonly rejected: readonly Rejection[];
  constructor(rejected: readonly Rejection[]) {
    super(rejected.map(({ variant, reason }) => `${variant}: ${reason}`).join('; '));
    this.rejected = rejected;
  }
}

/** The only variant that is started, unless the options name one; see `forceVariant`. */
let forced: Variant | undefined;

/** Restricts this process to one variant; undefined lifts the restriction. */
export function forceVariant(variant: Variant | undefined): void {
  forced = variant;
}

export const forcedVariant = (): Variant | undefined => forced;

/**
 * Starts the fastest variant that works here: one that this JavaScript engine and this CPU support, and that agrees with the
 * reference on every kernel.
 *
 * @throws NoWasmError if there is none
 */
export async function createWasmBackend(options: WasmOptions = {}): Promise<WasmDevice> {
  const { threads = defaultThreads(), variant: only = forced } = options;
  const rejected: Rejection[] = [];
  enableRevectorization();
  for (const variant of only === undefined ? variants : [only]) {
    try {
      const unsuited = only === undefined && variant === 'revectorize' ? whyNoWideVectors() : undefined;
      if (unsuited !== undefined) {
        rejected.push({ variant, reason: unsuited });
        continue;
      }
      const device = await WasmDevice.start({ variant, rejected, threads }, options);
      if (variant === 'avx512') {
        const reason = await whyNotNative(device, { mayBeSlower: only !== undefined });
        if (reason !== undefined) {
          rejected.push({ variant, reason });
          device.useNative(false);
        }
      }
      const wrong = await checkDevice(device, createReferenceBackend('float32'));
      if (wrong === undefined && (only === undefined || device.variant === only)) {
        device.fill(0, device.size, 0); // clears the buffers of the checks
        return device;
      }
      await device.close();
      if (wrong !== undefined)
        rejected.push({ variant: device.variant, reason: `gives wrong results here: ${wrong}` });
    } catch (error) {
      rejected.push({ variant, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  throw new NoWasmError(rejected);
}
