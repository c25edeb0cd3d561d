/**
 * What the host calls. A program is a list of 32-bit words in shared memory; every active thread walks it and does its
 * slice of every instruction, with a barrier between two. The main thread is thread 0. Threads that are not active in a job
 * are parked: they sleep and cost nothing.
 */
import { execute } from './generated/dispatch';
import { now } from './host';
import { madd } from './vector';
export { firstNonFinite } from './non-finite';
import {
  announce,
  barrier,
  barriersPassed,
  clearTaken,
  enter,
  FAILED,
  joinAt,
  leaveJob,
  measureWaiting,
  millisecondsWaited,
  takeMillisecondsSlept,
  waitForChange,
  waitUntilLeft,
} from './threads';

// The job that the main thread publishes: control words on one cache line, which travels as a whole.
/** The job's number, and in its low bits the number of active threads: both change in one store. */
const JOB: usize = 1280;
const ACTIVE_BITS: i32 = 7;
const FROM: usize = 1284;
const TO: usize = 1288;
const STOP: usize = 1292;
const TIMES: usize = 1296;
const TIMES_STRIDE: usize = 1300;
/** Barriers that the main thread has passed when the job starts. */
const BARRIERS: usize = 1304;
/** How many threads are active; parked threads sleep on it. On a cache line of its own. */
const ACTIVE: usize = 1408;

/** Walks the instructions between two addresses. */
function walk(from: usize, to: usize, thread: i32, threads: i32): void {
  for (let at = from; at < to;) {
    at = execute(at, thread, threads);
    barrier(threads);
  }
}

/**
 * The same with a clock: adds to three float64 numbers for each instruction how many milliseconds it took, the barrier
 * behind it included, how many of them went by at barriers, and 1.
 */
function walkTimed(from: usize, to: usize, thread: i32, threads: i32, times: usize): void {
  for (let at = from; at < to; times += 24) {
    const start = now();
    measureWaiting(true);
    at = execute(at, thread, threads);
    barrier(threads);
    store<f64>(times, load<f64>(times) + (now() - start));
    store<f64>(times, load<f64>(times, 8) + millisecondsWaited(), 8);
    store<f64>(times, load<f64>(times, 16) + 1, 16);
  }
  measureWaiting(false);
}

/** A thread's slice of the job that the control words describe. */
function doShare(thread: i32, threads: i32): void {
  const times = usize(load<u32>(TIMES));
  const from = load<u32>(FROM);
  const to = load<u32>(TO);
  if (times) walkTimed(from, to, thread, threads, times + usize(load<u32>(TIMES_STRIDE)) * thread);
  else walk(from, to, thread, threads);
}

/**
 * Main thread: runs a stretch of a program with the first `threads` threads; returns when all are done.
 *
 * @param times 0, or where the first thread's times are kept; those of the next follow `stride` bytes later
 */
export function run(from: usize, to: usize, threads: i32, times: usize, stride: usize): void {
  store<u32>(FROM, u32(from));
  store<u32>(TO, u32(to));
  store<u32>(TIMES, u32(times));
  store<u32>(TIMES_STRIDE, u32(stride));
  store<i32>(BARRIERS, barriersPassed());
  const active = atomic.load<i32>(ACTIVE);
  if (threads != active) {
    // With another number of threads a flag has another writer, which must not overtake the last signal of the former one.
    if (active > 1) waitUntilLeft(load<i32>(JOB), active);
    clearTaken(active, threads);
    atomic.store<i32>(ACTIVE, threads);
    atomic.notify(ACTIVE, -1);
  }
  if (threads > 1) announce(JOB, nextJob(threads));
  doShare(0, threads);
}

function nextJob(threads: i32): i32 {
  return (((load<i32>(JOB) >> ACTIVE_BITS) + 1) << ACTIVE_BITS) | threads;
}

/** Milliseconds that the main thread has slept at barriers since the last call. */
export function lateness(): f64 {
  return takeMillisecondsSlept();
}

/**
 * Worker threads: takes part in the jobs it is active in until the main thread says stop. A job in which it is active cannot
 * end without it, so the words that describe the job hold still.
 */
export function work(thread: i32): void {
  enter(thread);
  for (let job = 0; ;) {
    job = waitForChange(JOB, job);
    if (atomic.load<i32>(STOP)) return;
    const active = job & ((1 << ACTIVE_BITS) - 1);
    if (thread < active) {
      joinAt(load<i32>(BARRIERS));
      doShare(thread, active);
      leaveJob(job);
    } else park(thread);
  }
}

/** Sleeps until this thread is active again. Not counted among the sleepers, so that `announce` does not pay for a notification. */
function park(thread: i32): void {
  for (;;) {
    const active = atomic.load<i32>(ACTIVE);
    if (active > thread || atomic.load<i32>(STOP)) return;
    atomic.wait<i32>(ACTIVE, active, -1);
  }
}

/** Main thread: sends the workers home. */
export function stop(): void {
  atomic.store<i32>(STOP, 1);
  atomic.store<i32>(ACTIVE, 1 << ACTIVE_BITS);
  atomic.notify(ACTIVE, -1);
  announce(JOB, nextJob(0));
}

/** Worker threads: a kernel has trapped here. Threads that wait at a barrier trap, too, instead of waiting forever. */
export function fail(): void {
  atomic.store<i32>(FAILED, 1);
}

/** Whether a kernel has trapped in a worker. */
export function hasFailed(): bool {
  return atomic.load<i32>(FAILED) != 0;
}

/**
 * Whether a multiply-add is rounded once: a machine with such an instruction, as all with AVX2 have.
 *
 * @param a 1 + 2⁻¹², whose square needs one digit more than a float32 has: 1 + 2⁻¹¹ + 2⁻²⁴
 * @param c −(1 + 2⁻¹¹)
 */
export function fusesMultiplyAdd(a: f32, c: f32): bool {
  return f32x4.extract_lane(madd(f32x4.splat(a), f32x4.splat(a), f32x4.splat(c)), 0) != 0;
}
