/**
 * Working memory of the kernels: one stretch shared by all threads, and one for each. Where they are and how large is said by
 * engine/address-space.ts; the build hands SCRATCH_BASE, SHARED_SCRATCH and THREAD_SCRATCH over.
 */

/** Bytes of half of the shared stretch: what is packed together in one round. */
export const SHARED_HALF: usize = SHARED_SCRATCH / 2;

/** @inline */
export function sharedScratch(): usize {
  return SCRATCH_BASE;
}

/**
 * The half for a round. They take turns, so that one barrier a round is enough: whoever packs into a half has passed the
 * barrier behind which everybody was done with it.
 * @inline
 */
export function sharedHalf(round: i32): usize {
  return sharedScratch() + usize(round & 1) * SHARED_HALF;
}

/** @inline */
export function scratch(thread: i32): usize {
  return sharedScratch() + SHARED_SCRATCH + usize(thread) * THREAD_SCRATCH;
}
