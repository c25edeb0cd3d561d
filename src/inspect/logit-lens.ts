import type { Activations } from './activations.ts';
import { indicesOfLargest } from '../largest.ts';

/** A token and how likely the model holds it. */
export interface Guess {
  readonly id: number;
  readonly probability: number;
}

/** What the residual stream of one depth says about the token that follows. */
export interface Expectation {
  /** The likeliest tokens, the first of them first. */
  readonly top: readonly Guess[];
  /** What it gives the token that does follow, and how many it holds likelier; undefined at the end of the text. */
  readonly next: { readonly probability: number; readonly rank: number } | undefined;
}

/**
 * What a model expects after each token, and how the guess forms: the output head reads the residual stream not only
 * behind the last block but behind the embedding and every block ("the logit lens", nostalgebraist 2020).
 *
 * @param k how many of the likeliest tokens to name
 * @returns for each position, L + 1 expectations; the last is the model's own
 */
export function logitLens(activations: Activations, ids: ArrayLike<number>, k: number): Expectation[][] {
  const { T, config, residuals, logits } = activations;
  const V = config.vocabSize;
  const positions: Expectation[][] = Array.from({ length: T }, () => []);
  for (const residual of residuals) {
    const all = logits(residual);
    positions.forEach((expectations, t) => {
      const probabilities = softmax(all.subarray(t * V, (t + 1) * V));
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

/** exp(x − max)/Σ exp(x − max), in float64. */
function softmax(logits: Float32Array): Float64Array {
  let max = -Infinity;
  for (const x of logits) max = Math.max(max, x);
  const exps = Float64Array.from(logits, (x) => Math.exp(x - max));
  let sum = 0;
  for (const x of exps) sum += x;
  return exps.map((x) => x / sum);
}
