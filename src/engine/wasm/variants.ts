/** The builds of the kernels by name. Separate from builds.ts, because the package's own types cannot refer to WebAssembly's. */

/** Builds of the WebAssembly kernels, fastest first. scripts/micro-kernels.js describes the differences. */
export const builds = ['revectorize', 'relaxed', 'simd'] as const;
export type Build = (typeof builds)[number];

/** Fastest first. `avx512` is the build `revectorize` with GEMM in machine code (engine/native/). */
export const variants = ['avx512', ...builds] as const;
export type Variant = (typeof variants)[number];

export const buildOf = (variant: Variant): Build => (variant === 'avx512' ? 'revectorize' : variant);

/** Why a faster variant or the other device is not used, for `gpt doctor` and --verbose. */
export interface Rejection {
  /** `blas`: a library for products, with any variant; `webgpu`, `cpu`: what `--device auto` did not choose; `float16`: of a GPU. */
  readonly variant: Variant | 'blas' | 'webgpu' | 'cpu' | 'float16';
  readonly reason: string;
}
