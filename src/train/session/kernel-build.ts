/** The build of the kernels, such as 'wasm revectorize'. It determines the bits of a run; the number of threads does not. */
export const buildOf = (backend: string): string => backend.replace(/,.*/, '');

/** Builds with fused multiply-add, whose results are equal (test/train/trainer.test.ts). */
const FUSED: ReadonlySet<string> = new Set(['wasm avx512', 'wasm revectorize', 'wasm relaxed']);

/** Whether two builds are bit-identical. */
export const hasSameBits = (a: string, b: string): boolean => a === b || (FUSED.has(a) && FUSED.has(b));
