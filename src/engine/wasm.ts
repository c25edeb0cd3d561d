/** The fast backend: SIMD kernels in WebAssembly, on memory shared by worker threads. */
import { availableParallelism } from 'node:os';
import { UserError } from '../errors.ts';
import { optionName } from '../messages.ts';
import { MAX_THREADS } from './wasm/address-space.ts';
import { createReferenceBackend } from './reference/backend.ts';
import { openBlas } from './native/blas.ts';
import { librariesFor, type BlasChoice, type BlasLibrary } from './native/blas-choice.ts';
import { whyNotBlas, whyNotNative } from './native/trial.ts';
import { checkDevice } from './try-kernel.ts';
import { enableRevectorization, whyNoWideVectors } from './wasm/builds.ts';
import { WasmDevice, type WasmDeviceOptions } from './wasm/device.ts';
import type { Rejection } from './rejection.ts';
import { variants, type Variant } from './wasm/variants.ts';

export { builds, variants } from './wasm/variants.ts';
export type { WasmDevice as WasmBackend } from './wasm/device.ts';

export interface WasmOptions extends WasmDeviceOptions {
  /** Threads to start, 1 … 64; default: the cores this process may use. */
  readonly threads?: number;
  /** Only this one, instead of the fastest that works. */
  readonly variant?: Variant;
  /** The library that runs GEMM; default: the process's choice, see `chooseBlas`. */
  readonly blas?: BlasChoice;
}

/** @param processors that this process may use */
export const defaultThreads = (processors = availableParallelism()): number =>
  Math.min(processors, MAX_THREADS);

/** No variant of the engine works here; `rejected` has the reasons. */
export class NoWasmError extends Error {
  override readonly name = 'NoWasmError';
  readonly rejected: readonly Rejection[];
  constructor(rejected: readonly Rejection[]) {
    super(rejected.map(({ what, reason }) => `${what}: ${reason}`).join('; '));
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

/** On macOS, Accelerate, which reaches the matrix units, is always installed. */
const usualBlas = (): BlasChoice => (process.platform === 'darwin' ? 'auto' : 'off');
let chosenBlas: BlasChoice = usualBlas();

/** Chooses the BLAS library of this process; undefined for the usual choice. */
export function chooseBlas(choice: BlasChoice | undefined): void {
  chosenBlas = choice ?? usualBlas();
}

/**
 * Starts the fastest variant that works here: one that this JavaScript engine and this CPU support, and that agrees with the
 * reference on every kernel. A BLAS library runs its GEMMs if it is chosen, and works.
 *
 * @throws NoWasmError if there is none
 * @throws UserError if a BLAS library was named that cannot be used
 */
export async function createWasmBackend(options: WasmOptions = {}): Promise<WasmDevice> {
  const choice = options.blas ?? chosenBlas;
  const rejected: Rejection[] = [];
  const library = findBlas(choice, rejected);
  const device = await startVariant(
    { ...options, library, mayBeSlower: typeof choice === 'object' },
    rejected,
  );
  const why = rejected.find(({ what }) => what === 'blas')?.reason;
  if (typeof choice !== 'object' || why === undefined) return device;
  await device.close();
  throw unusableBlas(choice.path, why);
}

/** Opens the first library of a choice that loads. @param rejected receives the reason if there is none */
function findBlas(choice: BlasChoice, rejected: Rejection[]): BlasLibrary | undefined {
  if (choice === 'off') return undefined;
  const paths = librariesFor(choice);
  for (const path of paths)
    try {
      return openBlas(path);
    } catch (error) {
      if (typeof choice === 'object')
        throw unusableBlas(path, error instanceof Error ? error.message : String(error));
    }
  rejected.push({ what: 'blas', reason: `none of these can be loaded: ${paths.join(', ')}` });
  return undefined;
}

const unusableBlas = (path: string, reason: string): UserError =>
  new UserError('engine-unavailable', `the BLAS library ${path} cannot be used: ${reason}`, {
    hint: `${optionName('blas')} or GPT_BLAS names it; without one, GEMM runs in WebAssembly`,
  });

/** @param rejected receives the variants that do not work, and the library if it does not */
async function startVariant(
  options: WasmOptions & { readonly library: BlasLibrary | undefined; readonly mayBeSlower: boolean },
  rejected: Rejection[],
): Promise<WasmDevice> {
  const { threads = defaultThreads(), variant: only = forced, library: blas, mayBeSlower } = options;
  enableRevectorization();
  for (const variant of only === undefined ? variants : [only]) {
    try {
      const unsuited = only === undefined && variant === 'revectorize' ? whyNoWideVectors() : undefined;
      if (unsuited !== undefined) {
        rejected.push({ what: variant, reason: unsuited });
        continue;
      }
      const device = await WasmDevice.start({ variant, rejected, threads, blas }, options);
      if (variant === 'avx512') {
        const reason = await whyNotNative(device, { mayBeSlower: only !== undefined });
        if (reason !== undefined) {
          rejected.push({ what: variant, reason });
          device.useNative(false);
        }
      }
      const wrong = await checkDevice(device, createReferenceBackend('float32'));
      if (wrong === undefined && (only === undefined || device.variant === only)) {
        const slow = blas === undefined ? undefined : await whyNotBlas(device, { mayBeSlower });
        if (slow !== undefined) {
          rejected.push({ what: 'blas', reason: slow });
          device.useBlas(false);
        }
        device.fill(0, device.size, 0); // clears the buffers of the checks
        return device;
      }
      await device.close();
      if (wrong !== undefined)
        rejected.push({ what: device.variant, reason: `gives wrong results here: ${wrong}` });
    } catch (error) {
      rejected.push({ what: variant, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  throw new NoWasmError(rejected);
}
