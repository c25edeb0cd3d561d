/** Measures rates by repetition. */
import { median } from '../median.ts';

/**
 * Median rate over at least three rounds of about a tenth of `seconds` each, after a warm-up of the same length: V8
 * compiles kernels in the background, and until then they are many times slower.
 *
 * @param run performs a number of units of work, at least `least` per call; resolves to the time in seconds
 * @returns units per second
 */
export async function medianRate(
  run: (count: number) => Promise<number>,
  seconds: number,
  least = 1,
): Promise<number> {
  let count = least;
  let rate = 0;
  const warm = performance.now() + 1000 * Math.max(1, seconds);
  do {
    rate = count / (await run(count));
    count = Math.max(least, Math.floor((rate * seconds) / 10));
  } while (performance.now() < warm);
  const rates: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (rates.length < 3 || performance.now() < end) rates.push(count / (await run(count)));
  return median(rates);
}
