import { indicesOfLargest } from '../largest.ts';

/** The model's own log-probabilities (natural logarithms) of a token, before penalties, temperature and filters. */
export interface TokenDetails {
  readonly id: number;
  readonly logprob: number;
  /** The most likely tokens at its position, most likely first. */
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
 * @param logits [V] at the token's position
 * @param alternatives number of most likely tokens to include
 */
export function tokenDetails(logits: ArrayLike<number>, id: number, alternatives: number): TokenDetails {
  const logs = logProbabilities(logits);
  const top = indicesOfLargest(logs, alternatives).map((each) => ({ id: each, logprob: logs[each] }));
  return { id, logprob: logs[id], top };
}
