/**
 * What the host calls. A program is a list of 32-bit words in shared memory; every thread walks it and does its share of
 * every instruction, with a barrier between two. The main thread is thread 0.
 */
import { execute } from './generated/dispatch';
import { madd } from './vector';
import { announce, barrier, enter, measureWaiting, millisecondsWaited, now, waitFor } from './threads';

// The job that the main thread hands out, in control words that share a cache line: it travels as a whole.
// @ts-ignore: decorator
@inline const JOB: usize = 1280;
// @ts-ignore: decorator
@inline const FROM: usize = 1284;
// @ts-ignore: decorator
@inline const TO: usize = 1288;
// @ts-ignore: decorator
@inline const STOP: usize = 1292;
// @ts-ignore: decorator
@inline const TIMES: usize = 1296;
// @ts-ignore: decorator
@inline const TIMES_STRIDE: usize = 1300;

/** Walks the instructions between two addresses. */
function walk(from: usize, to: usize, thread: i32, threads: i32): void {
  for (let at = from; at < to; ) {
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

/** A thread's part of the job that the control words describe. */
function doShare(thread: i32, threads: i32): void {
  const times = usize(load<u32>(TIMES));
  const from = load<u32>(FROM);
  const to = load<u32>(TO);
  if (times) walkTimed(from, to, thread, threads, times + usize(load<u32>(TIMES_STRIDE)) * thread);
  else walk(from, to, thread, threads);
}

/**
 * Main thread: runs a stretch of a program with all threads; returns when all are done.
 *
 * @param times 0, or where the first thread's times are kept; those of the next follow `stride` bytes later
 */
export function run(from: usize, to: usize, threads: i32, times: usize, stride: usize): void {
  store<u32>(FROM, u32(from));
  store<u32>(TO, u32(to));
  store<u32>(TIMES, u32(times));
  store<u32>(TIMES_STRIDE, u32(stride));
  if (threads > 1) announce(JOB, load<i32>(JOB) + 1);
  doShare(0, threads);
}

/** Worker threads: runs what the main thread hands out until it says stop. */
export function work(thread: i32, threads: i32): void {
  enter(thread);
  for (let job = 1; ; job++) {
    waitFor(JOB, job);
    if (atomic.load<i32>(STOP)) return;
    doShare(thread, threads);
  }
}

/** Main thread: sends the workers home. */
export function stop(): void {
  atomic.store<i32>(STOP, 1);
  announce(JOB, load<i32>(JOB) + 1);
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
