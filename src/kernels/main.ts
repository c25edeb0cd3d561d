/**
 * The functions that the host calls. The main thread is thread 0. Threads that are not active in a job are parked: they sleep
 * and use no CPU time.
 */
import { barriersPassed, clearClaimed, joinAt, leaveJob, waitUntilLeft } from './barrier';
import {
  ACTIVE,
  FAILED,
  JOB,
  JOB_BARRIERS,
  JOB_FROM,
  JOB_STOP,
  JOB_TIMES,
  JOB_TIMES_STRIDE,
  JOB_TO,
} from './generated/constants';
import { poolIndex, setThread, setThreads } from './threads';
import { madd } from './vector';
import { walk } from './walk';
import { announce, takeMillisecondsSlept, wait, waitForChange, WAKE_CHECK } from './waiting';

/** The word JOB has the job's number, and in its low bits the number of active threads: both change in one store. */
const ACTIVE_BITS: i32 = 7;

/** Runs the job that the control words describe, as one of `count` threads. */
function runJob(count: i32): void {
  setThreads(count);
  const times = usize(load<u32>(JOB_TIMES));
  const from = load<u32>(JOB_FROM);
  const to = load<u32>(JOB_TO);
  walk(from, to, times ? times + usize(load<u32>(JOB_TIMES_STRIDE)) * poolIndex : 0);
}

/**
 * Main thread: runs a range of a program with the first `count` threads; returns when all have finished. Workers may still be
 * inside the last barrier then, but no longer read the program, so it may be replaced.
 *
 * @param times 0, or the address of the main thread's time records; each thread's are `stride` bytes after those before it
 */
export function run(from: usize, to: usize, count: i32, times: usize, stride: usize): void {
  store<u32>(JOB_FROM, u32(from));
  store<u32>(JOB_TO, u32(to));
  store<u32>(JOB_TIMES, u32(times));
  store<u32>(JOB_TIMES_STRIDE, u32(stride));
  store<i32>(JOB_BARRIERS, barriersPassed());
  const active = atomic.load<i32>(ACTIVE);
  if (count != active) {
    // With another number of threads, a flag has another writer, which must not overtake the last signal of the previous one.
    if (active > 1) waitUntilLeft(load<i32>(JOB), active);
    clearClaimed(active, count);
    atomic.store<i32>(ACTIVE, count);
    atomic.notify(ACTIVE, -1);
  }
  if (count > 1) announce(JOB, nextJob(count));
  runJob(count);
  if (count > 1 && times) waitUntilLeft(load<i32>(JOB), count); // workers write their time records after the last barrier
}

function nextJob(count: i32): i32 {
  return (((load<i32>(JOB) >> ACTIVE_BITS) + 1) << ACTIVE_BITS) | count;
}

/** Milliseconds that the main thread has slept at barriers since the last call. */
export function lateness(): f64 {
  return takeMillisecondsSlept();
}

/**
 * Worker threads: takes part in the jobs in which it is active, until the main thread calls `stop`. A job cannot end without
 * its active threads, so the words that describe it do not change meanwhile.
 */
export function work(index: i32): void {
  setThread(index);
  for (let job = 0; ;) {
    job = waitForChange(JOB, job);
    if (atomic.load<i32>(JOB_STOP)) return;
    const active = job & ((1 << ACTIVE_BITS) - 1);
    if (index < active) {
      joinAt(load<i32>(JOB_BARRIERS));
      runJob(active);
      leaveJob(job);
    } else park(index);
  }
}

/** Sleeps until this thread is active again. It is not counted as a sleeper, so `announce` sends no notification for it. */
function park(index: i32): void {
  for (;;) {
    const active = atomic.load<i32>(ACTIVE);
    if (active > index || atomic.load<i32>(JOB_STOP)) return;
    wait(ACTIVE, active, WAKE_CHECK);
  }
}

/** Main thread: ends the workers. */
export function stop(): void {
  atomic.store<i32>(JOB_STOP, 1);
  atomic.store<i32>(ACTIVE, 1 << ACTIVE_BITS);
  atomic.notify(ACTIVE, -1);
  announce(JOB, nextJob(0));
}

/** A kernel has trapped in this thread. Threads waiting at a barrier then trap too, instead of waiting forever. */
export function fail(): void {
  atomic.store<i32>(FAILED, 1);
}

/** Whether a kernel has trapped in any thread. */
export function hasFailed(): bool {
  return atomic.load<i32>(FAILED) != 0;
}

/**
 * True if a multiply-add is rounded only once: the CPU has a fused instruction for it, as every CPU with AVX2 does.
 *
 * @param a 1 + 2⁻¹², whose square 1 + 2⁻¹¹ + 2⁻²⁴ needs one bit more than a float32 has
 * @param c −(1 + 2⁻¹¹)
 */
export function fusesMultiplyAdd(a: f32, c: f32): bool {
  return f32x4.extract_lane(madd(f32x4.splat(a), f32x4.splat(a), f32x4.splat(c)), 0) != 0;
}

export { attentionScratch } from './attention/backward';
export { blasLoaded } from './gemm/blas';
export { nativeLoaded } from './gemm/native';
export { firstNonFinite } from './non-finite';
