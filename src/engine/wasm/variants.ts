/** The builds of the kernels by name. Apart from builds.ts, whose WebAssembly types the package's own types cannot refer to. */

/** Fastest first. scripts/micro-kernels.js says how they differ. */
export const variants = ['revectorize', 'relaxed', 'simd'] as const;
export type Variant = (typeof variants)[number];

/** Why a faster build was passed over: for `gpt doctor` and --verbose. */
export interface Rejection {
  readonly variant: Variant;
  readonly reason: string;
}
