/** The builds of the kernels by name. Separate from builds.ts, because the package's own types cannot refer to WebAssembly's. */

/** Builds of the WebAssembly kernels, fastest first. scripts/micro-kernels.js describes the differences. */
export const builds = ['revectorize', 'relaxed', 'simd'] as const;
export type Build = (typeof builds)[number];

/** Fastest first. `avx512` is the build `revectorize` with GEMM in machine code (engine/native/). */
export const variants = ['avx512', ...builds] as const;
export type Variant = (typeof variants)[number];

export const buildOf = (variant: Variant): Build => (variant === 'avx512' ? 'revectorize' : variant);
