import { indicesOfLargest } from '../largest.ts';

/** What the model thought of a token: natural logarithms of its own probabilities, before penalties, temperature and filters. */
export interface TokenDetails {
  readonly id: number;
  readonly logprob: number;
  /** The likeliest tokens there, the likeliest first. */
  readonly top: readonly { readonly id: number; readonly logprob: number }[];
}

/** log-softmax of some logits [V]. */
export function logProbabilities(logits: ArrayLike<number>): Float64Array {
  const result = Float64Array.from(logits);
  let highest = -Infinity;
  for (const logit of result) highest = Math.max(highest, logit);
  let sum = 0;
  for (const logit of result) sum += Math.exp(logit - highest);
  const logSum = highest + Math.log(sum);
  for (let id = 0; id < result.length; id++) result[id] -= logSum;
  return result;
}

/**
 * @param logits [V] where the token was drawn
 * @param alternatives how many of the likeliest to name
 */
export function tokenDetails(logits: ArrayLike<number>, id: number, alternatives: number): TokenDetails {
  const logs = logProbabilities(logits);
  const top = indicesOfLargest(logs, alternatives).map((each) => ({ id: each, logprob: logs[each] }));
  return { id, logprob: logs[id], top };
}
