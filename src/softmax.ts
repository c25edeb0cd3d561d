/**
 * Replaces scores p[first] … p[last] by their softmax, in float64. The largest score is subtracted first, so that no
 * exponential overflows.
 *
 * @returns the log-sum-exp of the scores
 */
export function softmaxInPlace(p: Float64Array, first = 0, last = p.length - 1): number {
  let max = -Infinity;
  for (let j = first; j <= last; j++) max = Math.max(max, p[j]);
  let sum = 0;
  for (let j = first; j <= last; j++) sum += p[j] = Math.exp(p[j] - max);
  for (let j = first; j <= last; j++) p[j] /= sum;
  return max + Math.log(sum);
}
