/** Waits for another thread to change a control word: spins first, since waking a thread takes about 50 µs, then sleeps. */
import { FAILED, SLEEPERS, SPINS, WAIT_RESULT } from './generated/constants';
import { now } from './host';

/** Nanoseconds after which a thread asleep at a barrier checks for a failed worker. */
const FAILURE_CHECK: i64 = 500_000_000;
/**
 * Nanoseconds after which any other sleeping thread reads its control word again. `announce` loses no wake-up: a thread counts
 * itself as a sleeper before it sleeps, `announce` stores the word before it reads that count, and `atomic.wait` compares the
 * word once more. The timeout guards against operating systems that fail to wake a sleeping thread.
 */
export const WAKE_CHECK: i64 = 1_000_000_000;

/** Waits until word `at` is no longer `seen`; returns its new value. */
export function waitForChange(at: usize, seen: i32): i32 {
  let value = atomic.load<i32>(at);
  for (let i = atomic.load<i32>(SPINS); i > 0 && value == seen; i--) value = atomic.load<i32>(at);
  while (value == seen) {
    sleep(at, seen, WAKE_CHECK);
    value = atomic.load<i32>(at);
  }
  return value;
}

/**
 * Waits until the counter at `at` has reached `count`, compared modulo 2³².
 * @inline
 */
export function waitForCount(at: usize, count: i32): void {
  if (!spinForCount(at, count)) sleepUntilCount(at, count);
}

/** @inline */
function spinForCount(at: usize, count: i32): bool {
  for (let i = atomic.load<i32>(SPINS); i >= 0; i--) if (atomic.load<i32>(at) - count >= 0) return true;
  return false;
}

function sleepUntilCount(at: usize, count: i32): void {
  const start = now();
  for (;;) {
    const seen = atomic.load<i32>(at);
    if (seen - count >= 0) break;
    if (atomic.load<i32>(FAILED)) unreachable();
    sleep(at, seen, FAILURE_CHECK);
  }
  slept += now() - start;
}

function sleep(at: usize, seen: i32, timeout: i64): void {
  atomic.add<i32>(SLEEPERS, 1);
  wait(at, seen, timeout);
  atomic.sub<i32>(SLEEPERS, 1);
}

/**
 * Sleeps while word `at` is `seen`, until it is notified or `timeout` nanoseconds have passed.
 *
 * V8's baseline compiler has a bug in Node 20: it writes the operand `at` of `atomic.wait` as 8 bytes into its 4-byte stack
 * slot, which zeroes the value below it. That is the last local variable of the function, unless an operand is in between.
 * Here it is an unused left operand of a sum; without the store, the optimizer would remove it.
 * @inline
 */
export function wait(at: usize, seen: i32, timeout: i64): void {
  store<i32>(WAIT_RESULT, atomic.load<i32>(SLEEPERS) + atomic.wait<i32>(at, seen, timeout));
}

/** Sets word `at` and wakes the threads that sleep on it. */
export function announce(at: usize, value: i32): void {
  atomic.store<i32>(at, value);
  if (atomic.load<i32>(SLEEPERS) > 0) atomic.notify(at, -1);
}

/**
 * Milliseconds this thread has slept at barriers. If every thread has a core, it sleeps only when others take far
 * longer than a kernel does. Waiting for other threads' strands does not count.
 */
let slept: f64 = 0;

/** The sleep so far, for `forgetSleepSince`. */
export function sleptSoFar(): f64 {
  return slept;
}

/** Discards the sleep since then. */
export function forgetSleepSince(mark: f64): void {
  slept = mark;
}

/** Milliseconds this thread has slept at barriers since the last call. */
export function takeMillisecondsSlept(): f64 {
  const milliseconds = slept;
  slept = 0;
  return milliseconds;
}
