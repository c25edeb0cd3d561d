import type { Variant } from './wasm/variants.ts';

/** Why something that might be faster is not used, for `gpt doctor` and --verbose. */
export interface Rejection {
  /** A build of the CPU's kernels; `blas`: a BLAS library; a device that `auto` did not choose; `float16`: of a GPU. */
  readonly what: Variant | 'blas' | 'webgpu' | 'cpu' | 'float16';
  readonly reason: string;
}
