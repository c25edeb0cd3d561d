/** Waits for another thread to change a control word: spins first, since waking a thread takes about 50 µs, then sleeps. */
import { FAILED, SLEEPERS, SPINS } from './generated/constants';
import { now } from './host';

/** Nanoseconds after which a thread asleep at a barrier checks for a failed worker. */
const FAILURE_CHECK: i64 = 500_000_000;
/**
 * Nanoseconds after which any other sleeping thread reads its control word again. `announce` loses no wake-up: a thread counts
 * itself as a sleeper before it sleeps, `announce` stores the word before it reads that count, and `atomic.wait` compares the
 * word once more. But on Node 20 a notified thread was once seen asleep; with the timeout, that costs a second, not the run.
 */
export const WAKE_CHECK: i64 = 1_000_000_000;

/** Returns the new value of word `at` once it is no longer `seen`. */
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
 * Returns once the counter at `at` has reached `count`, in arithmetic modulo 2³².
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
  atomic.wait<i32>(at, seen, timeout);
  atomic.sub<i32>(SLEEPERS, 1);
}

/** Sets word `at` and wakes the threads that sleep on it. */
export function announce(at: usize, value: i32): void {
  atomic.store<i32>(at, value);
  if (atomic.load<i32>(SLEEPERS) > 0) atomic.notify(at, -1);
}

/** Milliseconds this thread has slept at barriers: far longer than kernels take to finish when all threads have a core. */
let slept: f64 = 0;

/** Milliseconds this thread has slept at barriers since the last call. */
export function takeMillisecondsSlept(): f64 {
  const milliseconds = slept;
  slept = 0;
  return milliseconds;
}
