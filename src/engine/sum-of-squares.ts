/**
 * Σ x² of a block in float64, in the order of the kernel globalNorm: four sums, one per lane of SIMD. Code that adds the same
 * squares elsewhere gets its bits.
 */
export function sumOfSquares(x: Float32Array | Float64Array): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = x.length - (x.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a += x[i] * x[i];
    b += x[i + 1] * x[i + 1];
    c += x[i + 2] * x[i + 2];
    d += x[i + 3] * x[i + 3];
  }
  if (whole < x.length) a += x[whole] * x[whole];
  if (whole + 1 < x.length) b += x[whole + 1] * x[whole + 1];
  if (whole + 2 < x.length) c += x[whole + 2] * x[whole + 2];
  return a + c + (b + d);
}
