/**
 * What the host calls. A program is a list of 32-bit words in shared memory; every thread walks it and does its share of
 * every instruction, with a barrier between two. The main thread is thread 0.
 */
import { execute } from './generated/dispatch';
import { advance, barrier, waitWhile } from './threads';

// The job that the main thread hands out, in control words of its own cache lines.
// @ts-ignore: decorator
@inline const JOB: usize = 1280;
// @ts-ignore: decorator
@inline const FROM: usize = 1344;
// @ts-ignore: decorator
@inline const TO: usize = 1348;
// @ts-ignore: decorator
@inline const STOP: usize = 1352;

/** Walks the instructions between two addresses. */
function walk(from: usize, to: usize, thread: i32, threads: i32): void {
  for (let at = from; at < to; ) {
    at = execute(at, thread, threads);
    barrier(threads);
  }
}

/** Main thread: runs a stretch of a program with all threads; returns when all are done. */
export function run(from: usize, to: usize, threads: i32): void {
  if (threads > 1) {
    store<u32>(FROM, u32(from));
    store<u32>(TO, u32(to));
    advance(JOB);
  }
  walk(from, to, 0, threads);
}

/** Worker threads: runs what the main thread hands out until it says stop. @param job the value of JOB when it was made */
export function work(thread: i32, threads: i32, job: i32): void {
  for (;;) {
    waitWhile(JOB, job);
    job++;
    if (atomic.load<i32>(STOP)) return;
    walk(load<u32>(FROM), load<u32>(TO), thread, threads);
  }
}

/** Main thread: sends the workers home. */
export function stop(): void {
  atomic.store<i32>(STOP, 1);
  advance(JOB);
}
