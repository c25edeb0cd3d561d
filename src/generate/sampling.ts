/** How the next token is drawn from what the model expects. */
export interface SamplingOptions {
  /** Divides the logits: below 1 bolder towards the likely, above 1 flatter; 0 always takes the likeliest (greedy). */
  readonly temperature: number;
  /** Only the k likeliest tokens may be drawn (Fan, Lewis & Dauphin 2018); 0: all. */
  readonly topK: number;
  /** Only the smallest set of tokens whose probabilities reach p (nucleus sampling, Holtzman et al. 2020); 1: all. */
  readonly topP: number;
}

/** A token that may be drawn, with its probability after all filters. */
export interface Candidate {
  readonly id: number;
  readonly probability: number;
}

/**
 * What may be drawn: temperature, then top-k, then top-p, as Hugging Face orders them. With top-k or top-p the likeliest
 * come first, of equal ones the smaller id; else they are in the order of ids, as sorting a large vocabulary for every token
 * would take longer than computing it.
 *
 * @param logits [V]
 * @param banned ids that are never drawn, `<unk>` for one
 */
export function candidates(
  logits: ArrayLike<number>,
  options: SamplingOptions,
  banned: ReadonlySet<number> = new Set(),
): Candidate[] {
  const weights = new Float64Array(logits.length);
  const total = weigh(logits, options.temperature, banned, weights);
  const ids = filter(weights, total, options);
  let sum = 0;
  for (const id of ids) sum += weights[id];
  return ids.map((id) => ({ id, probability: weights[id] / sum }));
}

/** Draws tokens, one after the other, without making anything new for each: a vocabulary may have 50,000 of them. */
export class Sampler {
  readonly #options: SamplingOptions;
  readonly #banned: ReadonlySet<number>;
  readonly #weights: Float64Array;

  constructor(vocabSize: number, options: SamplingOptions, banned: ReadonlySet<number> = new Set()) {
    this.#options = options;
    this.#banned = banned;
    this.#weights = new Float64Array(vocabSize);
  }

  /**
   * One of the candidates, each as often as its probability says.
   *
   * @param logits [V]
   * @param uniform a random number in [0, 1)
   */
  draw(logits: ArrayLike<number>, uniform: number): number {
    const weights = this.#weights;
    const { temperature, topK, topP } = this.#options;
    const total = weigh(logits, temperature, this.#banned, weights);
    if (topK === 0 && topP >= 1) return drawAny(weights, uniform * total);
    const ids = filter(weights, total, this.#options);
    let sum = 0;
    for (const id of ids) sum += weights[id];
    let reached = 0;
    for (const id of ids) {
      reached += weights[id];
      if (uniform * sum < reached) return id;
    }
    return ids[ids.length - 1]; // rounding: the product is a hair too large
  }
}

/** The id at which the weights, summed up in order, exceed `target`; the last that has one if rounding hinders that. */
function drawAny(weights: Float64Array, target: number): number {
  let reached = 0;
  let last = 0;
  for (let id = 0; id < weights.length; id++) {
    if (weights[id] === 0) continue;
    reached += weights[id];
    last = id;
    if (target < reached) break;
  }
  return last;
}

/**
 * Each token's weight, exp((logit − largest)/temperature), 0 for a banned one; at temperature 0 the likeliest has them all.
 * Returns their sum.
 */
function weigh(
  logits: ArrayLike<number>,
  temperature: number,
  banned: ReadonlySet<number>,
  weights: Float64Array,
): number {
  const V = logits.length;
  weights.set(logits);
  for (const id of banned) weights[id] = -Infinity;
  let best = 0;
  for (let id = 1; id < V; id++) if (weights[id] > weights[best]) best = id;
  const largest = weights[best];
  if (temperature === 0) {
    weights.fill(0);
    weights[best] = 1;
    return 1;
  }
  let total = 0;
  for (let id = 0; id < V; id++) {
    const weight = Math.exp((weights[id] - largest) / temperature);
    weights[id] = weight;
    total += weight;
  }
  return total;
}

/** The ids that pass top-k and top-p. */
function filter(weights: Float64Array, total: number, { topK, topP }: SamplingOptions): number[] {
  let ids: number[] = [];
  for (let id = 0; id < weights.length; id++) if (weights[id] > 0) ids.push(id);
  if (topK > 0 && topK < ids.length) {
    ids = likeliest(weights, ids, topK);
    total = 0;
    for (const id of ids) total += weights[id];
  }
  return topP < 1 ? nucleus(weights, ids, topP * total) : ids;
}

const byLikelihood =
  (weights: Float64Array) =>
  (a: number, b: number): number =>
    weights[b] - weights[a] || a - b;

/** The k likeliest ids, likeliest first. */
function likeliest(weights: Float64Array, ids: readonly number[], k: number): number[] {
  const compare = byLikelihood(weights);
  if (k > 256) return ids.toSorted(compare).slice(0, k);
  const found: number[] = []; // in order; most ids are less likely than all of it, which one comparison tells
  for (const id of ids) {
    if (found.length === k && compare(id, found[k - 1]) > 0) continue;
    let at = found.length;
    while (at > 0 && compare(id, found[at - 1]) < 0) at--;
    found.splice(at, 0, id);
    if (found.length > k) found.pop();
  }
  return found;
}

/** The smallest set of ids whose weights reach `wanted`, likeliest first. The few far above the others are tried first. */
function nucleus(weights: Float64Array, ids: readonly number[], wanted: number): number[] {
  for (const smallest of [1e-4, 0]) {
    const sorted = ids.filter((id) => weights[id] >= smallest).sort(byLikelihood(weights));
    let reached = 0;
    for (let kept = 0; kept < sorted.length; kept++) {
      reached += weights[sorted[kept]];
      if (reached >= wanted) return sorted.slice(0, kept + 1);
    }
  }
  return ids.toSorted(byLikelihood(weights)); // rounding: the same sum in another order fell short by a hair
}
