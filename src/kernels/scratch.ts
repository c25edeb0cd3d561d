/**
 * Scratch memory of the kernels: one region shared by all threads and one for each thread (engine/wasm/address-space.ts). A kernel
 * allocates from its thread's region; the next instruction starts with all of it free.
 */
import { CACHE_LINE, SCRATCH_BASE, SHARED_SCRATCH, THREAD_SCRATCH } from './generated/constants';
import { isInStrand, poolIndex } from './threads';

/** Bytes of half of the shared region, which holds the operand packed in one round. */
export const SHARED_HALF: usize = SHARED_SCRATCH / 2;

/** The shared region; in a strand, the last SHARED_SCRATCH bytes of the thread's own, since other strands run meanwhile. @inline */
export function sharedScratch(): usize {
  return isInStrand ? ownRegion() + THREAD_SCRATCH - SHARED_SCRATCH : SCRATCH_BASE;
}

/** @inline */
function ownRegion(): usize {
  return SCRATCH_BASE + SHARED_SCRATCH + usize(poolIndex) * THREAD_SCRATCH;
}

/**
 * The half for a round. Rounds alternate between the halves, so that one barrier per round is enough: a thread that packs into
 * a half has passed a barrier that no thread reached before it was done with that half.
 * @inline
 */
export function sharedHalf(round: i32): usize {
  return sharedScratch() + usize(round & 1) * SHARED_HALF;
}

/** Bytes allocated in this thread's region. */
let used: u64 = 0;

export function freeScratch(): void {
  used = 0;
}

/**
 * Allocates scratch memory; the host has checked that the region is large enough.
 *
 * @returns address of `bytes` bytes, on a cache line
 */
export function allocate(bytes: u64): usize {
  const at = ownRegion() + usize(used);
  used += (bytes + CACHE_LINE - 1) & ~u64(CACHE_LINE - 1);
  if (isInStrand && used > THREAD_SCRATCH - SHARED_SCRATCH) unreachable();
  return at;
}

export function allocatedBytes(): u64 {
  return used;
}
