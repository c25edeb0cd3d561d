/**
 * The build of the kernels, such as 'wasm revectorize', and the BLAS library, if GEMM uses one: 'wasm relaxed with
 * Accelerate'. They determine the bits of a run; the number of threads does not, nor does AVX-512 machine code, which is
 * chosen by timing: it counts as the build whose kernels it replaces.
 */
export const buildOf = (backend: string): string =>
  backend.replace(/, \d+ threads?$/, '').replace(/^wasm avx512\b/, 'wasm revectorize');

/** Builds with fused multiply-add, whose results are equal (test/train/trainer.test.ts). */
const FUSED: ReadonlySet<string> = new Set(['wasm revectorize', 'wasm relaxed']);

/** Whether two builds are bit-identical. */
export const hasSameBits = (a: string, b: string): boolean => a === b || (FUSED.has(a) && FUSED.has(b));
