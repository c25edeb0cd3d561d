/** The exact GELU. JavaScript has no erf, so the normal distribution is computed here, to float64 precision. */
import { put, type ReferenceArguments } from './view.ts';

export function geluErf({ x, y, n }: ReferenceArguments<'geluErf'>): void {
  for (let i = 0; i < n; i++) y[i] = x[i] * normalDistribution(x[i]);
}

export function geluErfBackward({ x, dY, dX, n }: ReferenceArguments<'geluErfBackward'>): void {
  for (let i = 0; i < n; i++) put(dX, i, dY[i] * (normalDistribution(x[i]) + x[i] * density(x[i])));
}

/** φ(x), the density of the standard normal distribution. */
const density = (x: number): number => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);

/**
 * Φ(x) = ½(1 + erf(x/√2)). Near 0 a series of positive terms (Abramowitz & Stegun 1964, 26.2.11), in the tails a continued
 * fraction (26.2.14), which has no cancellation there.
 */
function normalDistribution(x: number): number {
  const a = Math.abs(x);
  if (!(a < 3)) {
    let fraction = a;
    for (let k = 200; k >= 1; k--) fraction = a + k / fraction;
    const tail = a > 40 ? 0 : density(a) / fraction;
    return x > 0 ? 1 - tail : tail;
  }
  let term = x;
  let sum = x;
  for (let n = 3; Math.abs(term) > 1e-18; n += 2) sum += term *= (x * x) / n;
  return 0.5 + density(x) * sum;
}
