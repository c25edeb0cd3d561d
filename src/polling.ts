/** Keeps long computations interruptible: Node delivers signals, timers and input only between synchronous stretches. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** The longest time between two checks for signals. */
export const SIGNAL_POLL_SECONDS = 0.1;

/** A computation in parts: it yields between two of them, where it may be abandoned. */
export type InParts<T> = Generator<void, T>;

/** Computes all parts in one go. */
export function allParts<T>(parts: InParts<T>): T {
  for (;;) {
    const { done, value } = parts.next();
    if (done === true) return value;
  }
}

/** Resolves to true when the work should stop. */
export type Poll = () => Promise<boolean>;

/**
 * A poll that may be called after every token or batch: it lets the event loop in, and asks, once in `seconds`.
 *
 * @param interrupted whether to stop
 */
export function startPolling(interrupted: () => boolean | Promise<boolean>, seconds: number): Poll {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < 1000 * seconds) return false;
    await nextTurn();
    last = performance.now();
    return interrupted();
  };
}

/** Computes all parts, polling between two; undefined if a poll said to stop. */
export async function unlessStopped<T>(parts: InParts<T>, poll: Poll): Promise<{ value: T } | undefined> {
  for (;;) {
    const { done, value } = parts.next();
    if (done === true) return { value };
    if (await poll()) return undefined;
  }
}
