import type { Device } from './device.ts';
import { createReferenceBackend } from './reference/backend.ts';
import { createWasmBackend, NoWasmError, type Rejection, type WasmOptions } from './wasm.ts';

export interface ChosenBackend {
  readonly backend: Device;
  /** What would have been faster, and why it does not work here. Empty where all is well. */
  readonly rejected: readonly Rejection[];
}

/**
 * A backend that starts when it is first asked for, and is the same from then on: what a measurement has compiled and
 * reserved serves the run that follows. (The memory of a backend that is closed comes back when V8 collects all garbage, and
 * in a long run that may be never.)
 */
export interface LazyBackend {
  readonly threads: number;
  open(): Promise<ChosenBackend>;
  close(): Promise<void>;
}

export function lazyBackend(options: WasmOptions & { readonly threads: number }): LazyBackend {
  let chosen: ChosenBackend | undefined;
  return {
    threads: options.threads,
    open: async () => (chosen ??= await chooseBackend(options)),
    close: async () => chosen?.backend.close(),
  };
}

/** The fastest backend that works on this machine: SIMD kernels, or else the plain reference, which always does. */
export async function chooseBackend(options: WasmOptions = {}): Promise<ChosenBackend> {
  try {
    const backend = await createWasmBackend(options);
    return { backend, rejected: backend.rejected };
  } catch (error) {
    if (!(error instanceof NoWasmError)) throw error;
    return { backend: createReferenceBackend('float32'), rejected: error.rejected };
  }
}
