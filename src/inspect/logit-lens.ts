import type { Activations } from './activations.ts';
import { indicesOfLargest } from '../largest.ts';
import { softmaxInPlace } from '../softmax.ts';

/** A predicted token and its probability. */
export interface Guess {
  readonly id: number;
  readonly probability: number;
}

/** The prediction of the next token at one depth. */
export interface Expectation {
  /** The likeliest tokens in descending order. */
  readonly top: readonly Guess[];
  /** Probability and rank of the token that actually follows; undefined at the end of the text. */
  readonly next: { readonly probability: number; readonly rank: number } | undefined;
}

/**
 * Predictions after each token at every depth ("the logit lens", nostalgebraist 2020): the output head is applied to the
 * residual stream after the embedding and after each block.
 *
 * @param k number of tokens to list
 * @returns L + 1 expectations per position; the last is the model's own
 */
export async function logitLens(
  activations: Activations,
  ids: ArrayLike<number>,
  k: number,
): Promise<Expectation[][]> {
  const { T, config, residuals, logits } = activations;
  const V = config.vocabSize;
  const positions: Expectation[][] = Array.from({ length: T }, () => []);
  for (const residual of residuals) {
    const all = await logits(residual);
    positions.forEach((expectations, t) => {
      const probabilities = probabilitiesOf(all.subarray(t * V, (t + 1) * V));
      const top = indicesOfLargest(probabilities, k).map((id) => ({ id, probability: probabilities[id] }));
      expectations.push({ top, next: t + 1 < T ? judge(probabilities, ids[t + 1]) : undefined });
    });
  }
  return positions;
}

function judge(probabilities: Float64Array, id: number): NonNullable<Expectation['next']> {
  const probability = probabilities[id];
  let rank = 0;
  for (const other of probabilities) if (other > probability) rank++;
  return { probability, rank };
}

function probabilitiesOf(logits: Float32Array): Float64Array {
  const p = Float64Array.from(logits);
  softmaxInPlace(p);
  return p;
}
