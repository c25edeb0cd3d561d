/** The builds of the kernels by name. Separate from builds.ts, because the package's own types cannot refer to WebAssembly's. */

/** Fastest first. scripts/micro-kernels.js describes the differences. */
export const variants = ['revectorize', 'relaxed', 'simd'] as const;
export type Variant = (typeof variants)[number];

/** Why a faster build is not used, for `gpt doctor` and --verbose. */
export interface Rejection {
  readonly variant: Variant;
  readonly reason: string;
}
