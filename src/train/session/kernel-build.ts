/** The build of the kernels, which decides the bits of a run; the number of threads does not: 'wasm revectorize'. */
export const buildOf = (backend: string): string => backend.replace(/,.*/, '');

/** Builds that multiply and add with a single rounding. test/train/trainer.test.ts compares their results. */
const FUSED: ReadonlySet<string> = new Set(['wasm revectorize', 'wasm relaxed']);

/** Whether two builds compute the same bits. */
export const hasSameBits = (a: string, b: string): boolean => a === b || (FUSED.has(a) && FUSED.has(b));
