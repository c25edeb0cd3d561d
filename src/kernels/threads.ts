/**
 * How threads meet. All of them walk the same program; between two instructions they wait for each other at a barrier.
 *
 * The control words lie at fixed places, each on a cache line of its own, below everything else in memory.
 */

// @ts-ignore: decorator
@inline export const ARRIVED: usize = 1024;
// @ts-ignore: decorator
@inline export const GENERATION: usize = 1088;
// @ts-ignore: decorator
@inline export const SLEEPERS: usize = 1152;
/** How often to look before going to sleep; set by the host: nearly 0 when there are more threads than cores. */
// @ts-ignore: decorator
@inline export const SPINS: usize = 1216;

/**
 * Waits until word `at` is no longer `old`: looks for a while (a wake-up through the system takes some 50 µs, the next
 * instruction is usually ready sooner), then sleeps.
 */
export function waitWhile(at: usize, old: i32): void {
  for (let i = atomic.load<i32>(SPINS); i > 0; i--) if (atomic.load<i32>(at) != old) return;
  while (atomic.load<i32>(at) == old) {
    atomic.add<i32>(SLEEPERS, 1);
    atomic.wait<i32>(at, old, -1);
    atomic.sub<i32>(SLEEPERS, 1);
  }
}

/** Changes word `at` and wakes whoever sleeps on it. */
export function advance(at: usize): void {
  atomic.add<i32>(at, 1);
  if (atomic.load<i32>(SLEEPERS) > 0) atomic.notify(at, -1);
}

/** The host's clock in milliseconds; asked only while profiling. */
// @ts-ignore: decorator
@external('env', 'now')
export declare function now(): f64;

/** Milliseconds this thread has waited at barriers while profiling. (Each thread has its own instance, and its own globals.) */
let waited: f64 = 0;
let profiling: bool = false;

/** From now on the time at barriers is measured, or not. */
export function measureWaiting(on: bool): void {
  profiling = on;
  waited = 0;
}
export function millisecondsWaited(): f64 {
  return waited;
}

/** Returns when all threads have called it. */
export function barrier(threads: i32): void {
  if (threads == 1) return;
  const start = profiling ? now() : 0;
  meet(threads);
  if (profiling) waited += now() - start;
}

function meet(threads: i32): void {
  const generation = atomic.load<i32>(GENERATION);
  if (atomic.add<i32>(ARRIVED, 1) == threads - 1) {
    atomic.store<i32>(ARRIVED, 0);
    advance(GENERATION);
  } else {
    waitWhile(GENERATION, generation);
  }
}

/** Where part `thread` of `n` things in `threads` parts starts, in multiples of `step`. Part + 1 ends where the next starts. */
// @ts-ignore: decorator
@inline
export function share(n: i32, step: i32, thread: i32, threads: i32): i32 {
  const steps = (n + step - 1) / step;
  return min(n, i32((i64(steps) * thread) / threads) * step);
}
