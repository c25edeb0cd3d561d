/**
 * Where things are in WebAssembly memory, in bytes: static data and control words of the kernels come first, then their working
 * memory, then encoded programs, then the engine's memory, which alone grows. scripts/build-kernels.js hands the first three
 * to the kernels (src/kernels/scratch.ts).
 */

export const SCRATCH_BASE = 2 ** 20;
/** Working memory that the threads share: operands that they pack together, in two halves. */
export const SHARED_SCRATCH = 6.5 * 2 ** 20;
/** Working memory of each thread: blocks that it packs for itself; a head and its strips in attention. */
export const THREAD_SCRATCH = 16 * 2 ** 20;
/** Room for programs: some 70 bytes an instruction. The system commits only what is used. */
const PROGRAM_BYTES = 32 * 2 ** 20;
export const PAGE = 2 ** 16;
export const MAX_PAGES = 2 ** 16;

/** Where programs start. */
export const programsStart = (threads: number): number =>
  SCRATCH_BASE + SHARED_SCRATCH + threads * THREAD_SCRATCH;
/** Where the engine's memory starts. */
export const engineStart = (threads: number): number => programsStart(threads) + PROGRAM_BYTES;
/** Bytes that the engine can hold at most: what 32-bit addresses reach, less all that is before. */
export const addressableBytes = (threads: number): number => MAX_PAGES * PAGE - engineStart(threads);
