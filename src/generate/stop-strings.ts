/** Finds the end of a text that comes in pieces. */
export interface StopScanner {
  /** Takes the next piece; returns what can be shown: all that cannot be part of a stop string any more. */
  push(text: string): string;
  /** True once a stop string has been met. Nothing is shown from then on. */
  readonly stopped: boolean;
  /** The rest, when the text ends without a stop string. */
  end(): string;
}

/**
 * Cuts a text off in front of the stop string that is complete first, of several that end together the longest; how the text
 * is cut into pieces makes no difference.
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

/** Where the stop string starts that ends first. */
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

/** How many characters at the end of a text may be the start of a stop string. */
function startOfStop(text: string, stops: readonly string[]): number {
  let longest = 0;
  for (const stop of stops)
    for (let length = Math.min(stop.length - 1, text.length); length > longest; length--)
      if (text.endsWith(stop.slice(0, length))) longest = length;
  return longest;
}
