/** How long computations stay interruptible: Node delivers signals, timers and input only between synchronous stretches. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** The longest that signals should go unheard. */
export const SIGNAL_POLL_SECONDS = 0.1;

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
