/**
 * How threads meet. All of them walk the same program; between two instructions they wait for each other at a barrier.
 *
 * The control words lie at fixed places, each on a cache line of its own, below everything else in memory.
 */

// @ts-ignore: decorator
@inline export const SLEEPERS: usize = 1152;
/** How often to look before going to sleep; set by the host: nearly 0 when there are more threads than cores. */
// @ts-ignore: decorator
@inline export const SPINS: usize = 1216;
/** The barrier's flags: for each of up to 64 threads one for each of up to 6 rounds, two cache lines apart. */
// @ts-ignore: decorator
@inline const FLAGS: usize = 1 << 16;
// @ts-ignore: decorator
@inline const ROUNDS: i32 = 6;
// @ts-ignore: decorator
@inline const APART: i32 = 7;

/**
 * Waits until word `at` has come to `value`: looks for a while (a wake-up through the system takes some 50 µs, the next
 * instruction is usually ready sooner), then sleeps.
 */
export function waitFor(at: usize, value: i32): void {
  for (let i = atomic.load<i32>(SPINS); i > 0; i--) if (atomic.load<i32>(at) - value >= 0) return;
  for (;;) {
    const seen = atomic.load<i32>(at);
    if (seen - value >= 0) return;
    atomic.add<i32>(SLEEPERS, 1);
    atomic.wait<i32>(at, seen, -1);
    atomic.sub<i32>(SLEEPERS, 1);
  }
}

/** Sets word `at` and wakes whoever sleeps on it. */
export function announce(at: usize, value: i32): void {
  atomic.store<i32>(at, value);
  if (atomic.load<i32>(SLEEPERS) > 0) atomic.notify(at, -1);
}

/** The host's clock in milliseconds; asked only while profiling. */
// @ts-ignore: decorator
@external('env', 'now')
export declare function now(): f64;

/** Milliseconds this thread has waited at barriers while profiling. */
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
  meetings++;
  store<i32>(taken(self, meetings + PHASES / 2), 0); // nobody uses this one: the others are as far, or one meeting behind
  if (threads == 1) return;
  const start = profiling ? now() : 0;
  meet(threads);
  if (profiling) waited += now() - start;
}

/** Which thread this is, and how often it has met the others. (Each thread has its own instance, and its own globals.) */
let self: i32 = 0;
let meetings: i32 = 0;

/** To be called by every thread before its first barrier. */
export function enter(thread: i32): void {
  self = thread;
}

/**
 * A dissemination barrier (Hensgen, Finkel & Manber 1988): in round r each thread tells the one 2^r further on, round the
 * circle, that it is there, and waits to be told; after ⌈log₂ threads⌉ rounds each has heard of all. A flag has one writer
 * and one reader, so that two threads meet in the time a cache line takes from core to core, which a common counter, that
 * has to go back and forth, takes three times.
 */
function meet(threads: i32): void {
  for (let round = 0, distance = 1; distance < threads; round++, distance <<= 1) {
    const to = self + distance;
    announce(flag(to < threads ? to : to - threads, round), meetings);
    waitFor(flag(self, round), meetings);
  }
}

// @ts-ignore: decorator
@inline
function flag(thread: i32, round: i32): usize {
  return FLAGS + (usize(thread * ROUNDS + round) << APART);
}

/** Where part `thread` of `n` things in `threads` parts starts, in multiples of `step`. Part + 1 ends where the next starts. */
// @ts-ignore: decorator
@inline
export function share(n: i32, step: i32, thread: i32, threads: i32): i32 {
  const steps = (n + step - 1) / step;
  return min(n, i32((i64(steps) * thread) / threads) * step);
}

/** For each of up to 64 threads, in each of some meetings to come, how many of its pieces of work have been taken. */
// @ts-ignore: decorator
@inline const TAKEN: usize = 1 << 17;
// @ts-ignore: decorator
@inline const PHASES: i32 = 8;

// @ts-ignore: decorator
@inline
function taken(thread: i32, phase: i32): usize {
  return TAKEN + (usize(((phase & (PHASES - 1)) << 6) + thread) << APART);
}

/**
 * Takes the next piece of a thread's work: 0, 1, 2, …, each once, whoever asks. So a thread that is done helps the others,
 * of which one may have been interrupted, or run on a slower core. Who computes a piece changes none of its bits. Until all
 * threads meet again, these numbers are for one loop only.
 */
// @ts-ignore: decorator
@inline
export function take(owner: i32): i32 {
  return atomic.add<i32>(taken(owner, meetings), 1);
}

/** Whose work a thread does in turn 0, 1, …: first its own, then that of the others, round the circle. */
// @ts-ignore: decorator
@inline
export function ownerInTurn(turn: i32, thread: i32, threads: i32): i32 {
  const owner = thread + turn;
  return owner < threads ? owner : owner - threads;
}
