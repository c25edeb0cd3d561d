/**
 * Synchronisation. The threads that take part in a program all walk the same instructions, with a barrier between two.
 *
 * The control words have fixed addresses below all other memory, each on a cache line of its own.
 */

import { now } from './host';

/** How many threads sleep at a barrier or for the next job: `announce` skips the notification if there are none. */
export const SLEEPERS: usize = 1152;
/** Spin-wait iterations before a thread sleeps; set by the host: 0 when there are more threads than cores. */
export const SPINS: usize = 1216;
/** 1 once a kernel has trapped in a worker: that thread will never reach another barrier. */
export const FAILED: usize = 1472;
/** Flags of up to 64 threads, two cache lines apart: one for each of up to 6 rounds of a barrier, and LAST_JOB. */
const FLAGS: usize = 1 << 16;
const FLAGS_PER_THREAD: i32 = 8;
/** The flag that holds the last job a worker has left, last barrier included. */
const LAST_JOB: i32 = 7;
const FLAG_SHIFT: i32 = 7;
/** Nanoseconds after which a thread asleep at a barrier checks for a failed worker. */
const FAILURE_CHECK: i64 = 500_000_000;

/** Returns once word `at` no longer holds `seen`, with its new value: spins first, as waking up takes about 50 µs, then sleeps. */
export function waitForChange(at: usize, seen: i32): i32 {
  let value = atomic.load<i32>(at);
  for (let i = atomic.load<i32>(SPINS); i > 0 && value == seen; i--) value = atomic.load<i32>(at);
  while (value == seen) {
    atomic.add<i32>(SLEEPERS, 1);
    atomic.wait<i32>(at, seen, -1);
    atomic.sub<i32>(SLEEPERS, 1);
    value = atomic.load<i32>(at);
  }
  return value;
}

/** Sets word `at` and wakes the threads that sleep on it. */
export function announce(at: usize, value: i32): void {
  atomic.store<i32>(at, value);
  if (atomic.load<i32>(SLEEPERS) > 0) atomic.notify(at, -1);
}

/** Milliseconds this thread has waited at barriers while profiling. */
let waited: f64 = 0;
let profiling: bool = false;
/** Milliseconds this thread has slept at barriers: far longer than kernels take to finish when all threads have a core. */
let slept: f64 = 0;

/** Switches the measurement of time at barriers on or off. */
export function measureWaiting(on: bool): void {
  profiling = on;
  waited = 0;
}
export function millisecondsWaited(): f64 {
  return waited;
}

/** Milliseconds this thread has slept at barriers since the last call. */
export function takeMillisecondsSlept(): f64 {
  const milliseconds = slept;
  slept = 0;
  return milliseconds;
}

/** Returns when all threads have called it. */
export function barrier(threads: i32): void {
  meetings++;
  store<i32>(taken(self, meetings + PHASES / 2), 0); // not in use: the other threads are at this barrier or the one before
  if (threads == 1) return;
  const start = profiling ? now() : 0;
  meet(threads);
  if (profiling) waited += now() - start;
}

/** This thread's index, and the number of barriers behind it. (Each thread has its own instance, hence its own globals.) */
let self: i32 = 0;
let meetings: i32 = 0;

/** To be called by every thread before its first job. */
export function enter(thread: i32): void {
  self = thread;
}

/** The main thread's count of barriers, which a thread that has missed jobs takes over before it joins the next. */
export function barriersPassed(): i32 {
  return meetings;
}
export function joinAt(barriers: i32): void {
  meetings = barriers;
}

/** Worker threads: signals that this one has left a job. */
export function leaveJob(job: i32): void {
  announce(flag(self, LAST_JOB), job);
}

/** Main thread: returns when workers 1 … threads − 1 have left a job; they may be inside its last barrier for a moment longer. */
export function waitUntilLeft(job: i32, threads: i32): void {
  for (let thread = 1; thread < threads; thread++) {
    const at = flag(thread, LAST_JOB);
    for (let left = atomic.load<i32>(at); left != job;) left = waitForChange(at, left);
  }
}

/**
 * A dissemination barrier (Hensgen, Finkel & Manber 1988): in round r each thread signals the one 2^r further on, modulo
 * the number of threads, and waits for its own signal; after ⌈log₂ threads⌉ rounds each has heard of all. A flag has one
 * writer and one reader, so two threads meet in the time one cache line takes from core to core; a shared counter, which
 * has to travel back and forth, takes three times as long.
 */
function meet(threads: i32): void {
  for (let round = 0, distance = 1; distance < threads; round++, distance <<= 1) {
    const to = self + distance;
    announce(flag(to < threads ? to : to - threads, round), meetings);
    const own = flag(self, round);
    if (!hasReached(own)) sleepUntilReached(own);
  }
}

/** Spins until the flag has reached this barrier, or gives up. @inline */
function hasReached(at: usize): bool {
  for (let i = atomic.load<i32>(SPINS); i >= 0; i--) if (atomic.load<i32>(at) - meetings >= 0) return true;
  return false;
}

function sleepUntilReached(at: usize): void {
  const start = now();
  for (;;) {
    const seen = atomic.load<i32>(at);
    if (seen - meetings >= 0) break;
    if (atomic.load<i32>(FAILED)) unreachable();
    atomic.add<i32>(SLEEPERS, 1);
    atomic.wait<i32>(at, seen, FAILURE_CHECK);
    atomic.sub<i32>(SLEEPERS, 1);
  }
  slept += now() - start;
}

/** @inline */
function flag(thread: i32, round: i32): usize {
  return FLAGS + (usize(thread * FLAGS_PER_THREAD + round) << FLAG_SHIFT);
}

/**
 * Start of this thread's slice of `n`, aligned to `step`; it ends where the next thread's slice starts.
 * @inline
 */
export function share(n: i32, step: i32, thread: i32, threads: i32): i32 {
  const steps = (n + step - 1) / step;
  return min(n, i32((i64(steps) * thread) / threads) * step);
}

/** The work-stealing counters: chunks claimed of each thread's slice, for this barrier interval and the next few. */
const TAKEN: usize = 1 << 17;
const PHASES: i32 = 8;

/** @inline */
function taken(thread: i32, phase: i32): usize {
  return TAKEN + (usize(((phase & (PHASES - 1)) << 6) + thread) << FLAG_SHIFT);
}

/** Clears the counters of threads `from` … `to` − 1, which have not cleared them themselves while they were parked. */
export function clearTaken(from: i32, to: i32): void {
  for (let thread = from; thread < to; thread++)
    for (let phase = 0; phase < PHASES; phase++) atomic.store<i32>(taken(thread, phase), 0);
}

/**
 * Claims the next chunk of a thread's slice: 0, 1, 2, …, each exactly once, whichever thread asks. A thread that has
 * finished its own slice so steals from others that were interrupted or run on a slower core. Who computes a chunk changes
 * none of its bits. Between two barriers the counters serve one loop only.
 * @inline
 */
export function take(owner: i32): i32 {
  return atomic.add<i32>(taken(owner, meetings), 1);
}

/**
 * Whose chunks a thread claims in turn 0, 1, …: first its own, then those of the threads after it, modulo their number.
 * @inline
 */
export function ownerInTurn(turn: i32, thread: i32, threads: i32): i32 {
  const owner = thread + turn;
  return owner < threads ? owner : owner - threads;
}
