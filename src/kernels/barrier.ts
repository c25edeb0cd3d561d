/**
 * The barrier between instructions, and work stealing between two barriers. All active threads run the same instructions
 * and pass the same barriers,
 * except in strands, where `barrier` returns at once.
 */
import { CACHE_LINE, CLAIMED, FLAGS, MAX_THREADS } from './generated/constants';
import { now } from './host';
import { isInStrand, poolIndex, threads } from './threads';
import { announce, waitForChange, waitForCount } from './waiting';

/** Flags per thread: one for each of up to 6 rounds of a barrier, and LAST_JOB. */
const FLAGS_PER_THREAD: i32 = 8;
/** Index of the flag that holds the last job that a worker has left, including the job's last barrier. */
const LAST_JOB: i32 = 7;
/** Work-stealing counters per thread: one for the current barrier interval, the others for the next ones. */
const PHASES: i32 = 8;

/** Barriers that this thread has passed. */
let barriers: i32 = 0;

/** Milliseconds this thread has waited at barriers while profiling. */
let waited: f64 = 0;
let profiling: bool = false;

/** Starts or ends the measurement of waiting times. */
export function measureWaiting(on: bool): void {
  profiling = on;
  waited = 0;
}
export function millisecondsWaited(): f64 {
  return waited;
}

/** Chunks claimed in a strand since the last barrier. */
let claimedInStrand: i32 = 0;

/** Returns when all active threads have called it; in a strand, at once. */
export function barrier(): void {
  if (isInStrand) {
    claimedInStrand = 0;
    return;
  }
  barriers++;
  store<i32>(claimed(poolIndex, barriers + PHASES / 2), 0); // unused: the other threads are at this barrier or the one before
  if (threads == 1) return;
  const start = profiling ? now() : 0;
  meet();
  if (profiling) waited += now() - start;
}

/**
 * A dissemination barrier (Hensgen, Finkel & Manber 1988): in round r each thread signals the thread 2^r after it, modulo the
 * number of threads, and waits for its own signal; after ⌈log₂ threads⌉ rounds every thread has arrived. A flag has one
 * writer and one reader, so two threads synchronize in the time of one cache-line transfer; a shared counter would bounce
 * between cores.
 */
function meet(): void {
  for (let round = 0, distance = 1; distance < threads; round++, distance <<= 1) {
    const to = poolIndex + distance;
    announce(flag(to < threads ? to : to - threads, round), barriers);
    waitForCount(flag(poolIndex, round), barriers);
  }
}

/** @inline */
function flag(index: i32, round: i32): usize {
  return FLAGS + usize(index * FLAGS_PER_THREAD + round) * (2 * CACHE_LINE);
}

/** The main thread's count of barriers, which a thread that has missed jobs adopts before it joins the next. */
export function barriersPassed(): i32 {
  return barriers;
}
export function joinAt(count: i32): void {
  barriers = count;
}

/** Worker threads: signals that this thread has left a job. */
export function leaveJob(job: i32): void {
  announce(flag(poolIndex, LAST_JOB), job);
}

/** Main thread: returns when workers 1 … count − 1 have left a job; until then they may still be inside its last barrier. */
export function waitUntilLeft(job: i32, count: i32): void {
  for (let other = 1; other < count; other++) {
    const at = flag(other, LAST_JOB);
    for (let left = atomic.load<i32>(at); left != job;) left = waitForChange(at, left);
  }
}

/** @inline */
function claimed(index: i32, phase: i32): usize {
  return CLAIMED + usize((phase & (PHASES - 1)) * MAX_THREADS + index) * (2 * CACHE_LINE);
}

/** Clears the counters of threads `from` … `to` − 1, which could not clear them while they were parked. */
export function clearClaimed(from: i32, to: i32): void {
  for (let index = from; index < to; index++)
    for (let phase = 0; phase < PHASES; phase++) atomic.store<i32>(claimed(index, phase), 0);
}

/**
 * Claims the next chunk of a thread's slice: 0, 1, 2, …, each exactly once, whichever thread asks. Threads that have finished
 * their own slice steal chunks from threads that were interrupted or run on a slower core. Which thread computes a chunk does
 * not change its bits. Between two barriers the counters serve one loop only.
 * @inline
 */
export function nextChunk(owner: i32): i32 {
  return isInStrand ? claimedInStrand++ : atomic.add<i32>(claimed(owner, barriers), 1);
}
