/** The threads of a job, and how they divide its work. */

/** Index of this thread in the pool, 0 for the main thread. Every thread has its own instance of the module, hence its own globals. */
export let poolIndex: i32 = 0;
/** Index of this thread among those that share an instruction: `poolIndex`, or 0 in a strand. */
export let thread: i32 = 0;
/** Number of threads that share an instruction: those of the current job, or 1 in a strand. */
export let threads: i32 = 1;
/** True while this thread runs a strand (engine/instruction.ts). */
export let isInStrand: bool = false;

/** Called by every worker before its first job. */
export function setThread(index: i32): void {
  poolIndex = index;
  thread = index;
}

/** From now on, this thread shares instructions with the other threads of a job, `count` in all. */
export function setThreads(count: i32): void {
  isInStrand = false;
  thread = poolIndex;
  threads = count;
}

/** From now on, this thread runs instructions alone, until `setThreads`. */
export function enterStrand(): void {
  isInStrand = true;
  thread = 0;
  threads = 1;
}

/**
 * Start of a slice of `n` items, a multiple of `step`; the slice ends where the next one starts. Without `index` and `count`,
 * it is this thread's slice.
 * @inline
 */
export function sliceStart(n: i32, step: i32, index: i32 = thread, count: i32 = threads): i32 {
  const steps = (n + step - 1) / step;
  return min(n, i32((i64(steps) * index) / count) * step);
}

/** @inline */
export function sliceEnd(n: i32, step: i32, index: i32 = thread, count: i32 = threads): i32 {
  return sliceStart(n, step, index + 1, count);
}

/** The owner of the slice that this thread works on in turn 0, 1, …: itself, then the threads after it, cyclically. @inline */
export function ownerInTurn(turn: i32): i32 {
  const owner = thread + turn;
  return owner < threads ? owner : owner - threads;
}
