import type { Backend } from './instruction.ts';
import { createReferenceBackend } from './reference/backend.ts';
import { createWasmBackend, NoWasmError, type Rejection, type WasmOptions } from './wasm.ts';

export interface ChosenBackend {
  readonly backend: Backend;
  /** What would have been faster, and why it does not work here. Empty where all is well. */
  readonly rejected: readonly Rejection[];
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
