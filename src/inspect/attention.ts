/** Attention probabilities, recomputed from queries and keys in float64, because the engine's kernel never stores them. */
import { architectureOf } from '../model/architectures/registry.ts';
import { softmaxInPlace } from '../softmax.ts';
import type { Activations } from './activations.ts';

/** Attention probabilities [T,T] by rows: row i sums to 1 over j ≤ i and is 0 beyond. */
export type AttentionMap = Float64Array;

/**
 * P = softmax(q·kᵀ/√D) over j ≤ i for one head (Vaswani et al. 2017, equation 1).
 *
 * @param layer and head, from 0
 */
export function attentionMap(
  { config, T, attention }: Activations,
  layer: number,
  head: number,
): AttentionMap {
  const H = config.nHead;
  const { heads: G, headSize: D } = architectureOf(config).cache(config);
  const { q: queries, k: keys } = attention[layer]; // [T,H,D] and [T,G,D]
  const group = Math.floor((head * G) / H);
  const P = new Float64Array(T * T);
  for (let i = 0; i < T; i++) {
    const q = (i * H + head) * D;
    for (let j = 0; j <= i; j++) {
      const k = (j * G + group) * D;
      let score = 0;
      for (let d = 0; d < D; d++) score += queries[q + d] * keys[k + d];
      P[i * T + j] = score / Math.sqrt(D);
    }
    softmaxInPlace(P, i * T, i * T + i);
  }
  return P;
}

/** The mean of several maps. */
export function meanMap(maps: readonly AttentionMap[]): AttentionMap {
  const mean = new Float64Array(maps[0].length);
  for (const map of maps) map.forEach((p, i) => (mean[i] += p / maps.length));
  return mean;
}

/** Statistics of a head, averaged over all positions but the first. */
export interface HeadSummary {
  /** Probability of the position itself, of the previous one, and of the first. */
  readonly self: number;
  readonly previous: number;
  readonly first: number;
  /** Mean attention distance, the expectation of i − j, in tokens. */
  readonly distance: number;
  /** Entropy of a row, divided by ln(i + 1), that of a uniform row: 0 attends to one position, 1 to all alike. */
  readonly spread: number;
}

/** @param map [T,T]; for T = 1 all attention goes to the position itself */
export function summarizeHead(map: AttentionMap, T: number): HeadSummary {
  if (T === 1) return { self: 1, previous: 0, first: 1, distance: 0, spread: 0 };
  let [self, previous, first, distance, spread] = [0, 0, 0, 0, 0];
  for (let i = 1; i < T; i++) {
    const row = map.subarray(i * T, i * T + i + 1);
    self += row[i];
    previous += row[i - 1];
    first += row[0];
    let entropy = 0;
    row.forEach((p, j) => {
      distance += p * (i - j);
      if (p > 0) entropy -= p * Math.log(p);
    });
    spread += entropy / Math.log(i + 1);
  }
  const n = T - 1;
  return {
    self: self / n,
    previous: previous / n,
    first: first / n,
    distance: distance / n,
    spread: spread / n,
  };
}
