/** Detects stop strings in a text that is generated in pieces. */
export interface StopScanner {
  /** Adds the next piece; returns the text that can no longer be part of a stop string. */
  push(text: string): string;
  /** Whether a stop string has been found. From then on `push` returns nothing. */
  readonly stopped: boolean;
  /** The rest of a text that ends without a stop string. */
  end(): string;
}

/**
 * Truncates a text before the stop string that is completed first (of several that end together, the longest), however the
 * text is divided into pieces.
 *
 * @param stops none of them empty
 */
export function stopScanner(stops: readonly string[]): StopScanner {
  let held = '';
  let stopped = false;
  return {
    get stopped() {
      return stopped;
    },
    push(text) {
      if (stopped || stops.length === 0) return stopped ? '' : text;
      held += text;
      const found = firstStop(held, stops);
      if (found !== undefined) {
        const shown = held.slice(0, found);
        stopped = true;
        held = '';
        return shown;
      }
      const kept = startOfStop(held, stops);
      const shown = held.slice(0, held.length - kept);
      held = held.slice(held.length - kept);
      return shown;
    },
    end() {
      const rest = held;
      held = '';
      return rest;
    },
  };
}

/** Start of the stop string that ends first. */
function firstStop(text: string, stops: readonly string[]): number | undefined {
  let start: number | undefined;
  let end = Infinity;
  for (const stop of stops) {
    const at = text.indexOf(stop);
    if (at < 0) continue;
    const stopEnd = at + stop.length;
    if (stopEnd < end || (stopEnd === end && at < start!)) {
      start = at;
      end = stopEnd;
    }
  }
  return start;
}

/** Number of characters at the end of a text that may begin a stop string. */
function startOfStop(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops)
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--)
      if (text.endsWith(stop.slice(0, length))) longest = length;
  return longest;
}
