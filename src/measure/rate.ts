/** Runs something again and again and says how often a second. */

/** The middle one of some numbers. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/**
 * The median rate over rounds of about a tenth of the time each, at least three, after as much time to warm up: V8 compiles
 * kernels in the background, and until it has, they are many times slower.
 *
 * @param run does so many things, at least `least` at once; returns how many seconds they took
 * @returns things a second
 */
export function medianRate(run: (count: number) => number, seconds: number, least = 1): number {
  let count = least;
  let rate = 0;
  const warm = performance.now() + 1000 * Math.max(1, seconds);
  do {
    rate = count / run(count);
    count = Math.max(least, Math.floor((rate * seconds) / 10));
  } while (performance.now() < warm);
  const rates: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (rates.length < 3 || performance.now() < end) rates.push(count / run(count));
  return median(rates);
}
