/** Keeps long computations interruptible: Node delivers signals, timers and input only when the event loop turns. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Maximum time between two checks for signals. */
export const SIGNAL_POLL_SECONDS = 0.1;

/** A computation that yields at points where it may be abandoned. */
export type InParts<T> = AsyncGenerator<void, T, void>;

/** Runs a computation without interruption. */
export async function allParts<T>(parts: InParts<T>): Promise<T> {
  for (;;) {
    const { done, value } = await parts.next();
    if (done === true) return value;
  }
}

/** Resolves to true if the work should stop. */
export type Poll = () => Promise<boolean>;

/**
 * A poll to call after every token or batch. At most once per `seconds`, it lets the event loop turn and calls
 * `interrupted`.
 *
 * @param interrupted returns true if the work should stop
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

/** Runs a computation, polling at each yield; undefined if it was stopped. */
export async function unlessStopped<T>(parts: InParts<T>, poll: Poll): Promise<{ value: T } | undefined> {
  for (;;) {
    const { done, value } = await parts.next();
    if (done === true) return { value };
    if (await poll()) return undefined;
  }
}
