/** Working memory of the kernels: one stretch shared by all threads, and one for each. Placed by the host, see engine/wasm.ts. */

/** Bytes of each thread's own stretch: packed blocks of a product, a head and its strips in attention. */
// @ts-ignore: decorator
@inline export const THREAD_SCRATCH: usize = 16 << 20;
/** Bytes of the shared stretch: two blocks of B, and two of A. */
// @ts-ignore: decorator
@inline export const SHARED_SCRATCH: usize = 24 << 20;
/** Where the host says the stretches start. */
// @ts-ignore: decorator
@inline export const SCRATCH_BASE: usize = 1 << 20;

// @ts-ignore: decorator
@inline
export function sharedScratch(): usize {
  return SCRATCH_BASE;
}

// @ts-ignore: decorator
@inline
export function scratch(thread: i32): usize {
  return SCRATCH_BASE + SHARED_SCRATCH + usize(thread) * THREAD_SCRATCH;
}
