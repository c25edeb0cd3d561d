/** From logits to the next token: penalties, temperature, filters, one random number. */
import { hasPenalties, Penalties, type PenaltyOptions } from './penalties.ts';
import { Ranking } from './ranking.ts';

/**
 * Sampling parameters: penalties, then temperature, then top-k, top-p, min-p and typical-p, each applied to what the previous
 * one leaves. Order and meaning are those of Hugging Face transformers; frequency and presence penalties, which it lacks, are
 * OpenAI's and follow the repetition penalty.
 */
export interface SamplingOptions extends PenaltyOptions {
  /** Divides the logits: below 1 sharpens the distribution, above 1 flattens it; 0 is greedy. */
  readonly temperature: number;
  /** Keeps the k most likely tokens (Fan, Lewis & Dauphin 2018; ties: smaller id); 0: all. */
  readonly topK: number;
  /** Keeps the smallest set of most likely tokens whose probabilities reach p (nucleus sampling, Holtzman et al. 2020); 1: all. */
  readonly topP: number;
  /** Keeps tokens with at least this fraction of the largest probability (Nguyen et al. 2024); 0: all. */
  readonly minP?: number;
  /**
   * Keeps the smallest set, reaching this probability, of tokens whose surprisal is closest to its expected value, the entropy
   * (locally typical sampling, Meister et al. 2023, equation 10); 1: all.
   */
  readonly typicalP?: number;
}

/** A token that may be sampled, with its probability after all filters. */
export interface Candidate {
  readonly id: number;
  readonly probability: number;
}

const nothing: ReadonlySet<number> = new Set();

/** Samples tokens without allocating memory for each: a vocabulary may have 50,000 entries. */
export class Sampler {
  readonly #temperature: number;
  readonly #topK: number;
  readonly #topP: number;
  readonly #minP: number;
  readonly #typicalP: number;
  readonly #filtered: boolean;
  readonly #penalties: Penalties | undefined;
  readonly #banned: Uint32Array;
  /** Unnormalized probability of each token. */
  readonly #weights: Float64Array;
  // Scratch memory of the filters: the remaining ids and their ranking.
  readonly #kept: Uint32Array;
  readonly #typicality: Float64Array;
  readonly #ranking: Ranking;

  /**
   * @param banned ids that are never sampled, such as `<unk>`
   * @param prompt counted by the repetition penalty, besides the text
   */
  constructor(
    vocabSize: number,
    options: SamplingOptions,
    banned: ReadonlySet<number> = nothing,
    prompt: ArrayLike<number> = [],
  ) {
    const { temperature, topK, topP, minP = 0, typicalP = 1 } = options;
    this.#temperature = temperature;
    this.#topK = topK === 0 ? vocabSize : topK;
    this.#topP = topP;
    this.#minP = minP;
    this.#typicalP = typicalP;
    this.#filtered = temperature > 0 && (this.#topK < vocabSize || topP < 1 || minP > 0 || typicalP < 1);
    this.#penalties = hasPenalties(options) ? new Penalties(options, prompt) : undefined;
    this.#banned = Uint32Array.from(banned);
    this.#weights = new Float64Array(vocabSize);
    this.#kept = new Uint32Array(this.#filtered ? vocabSize : 0);
    this.#typicality = new Float64Array(typicalP < 1 ? vocabSize : 0);
    this.#ranking = new Ranking(this.#filtered ? vocabSize : 0);
  }

  /**
   * Samples one of the candidates by probability.
   *
   * @param logits [V]
   * @param uniform a random number in [0, 1)
   */
  draw(logits: ArrayLike<number>, uniform: number): number {
    const weights = this.#weights;
    const total = this.#weigh(logits);
    if (!this.#filtered) return drawAny(weights, uniform * total);
    const kept = this.#kept;
    const count = this.#filter();
    let sum = 0;
    for (let i = 0; i < count; i++) sum += weights[kept[i]];
    let reached = 0;
    for (let i = 0; i < count; i++) {
      reached += weights[kept[i]];
      if (uniform * sum < reached) return kept[i];
    }
    return kept[count - 1]; // rounding: the target is slightly too large
  }

  /** Counts a token for the penalties, whether it was sampled or not. */
  accept(id: number): void {
    this.#penalties?.add(id);
  }

  /** The tokens that may be sampled, most likely first (ties: smaller id). */
  candidates(logits: ArrayLike<number>): Candidate[] {
    const weights = this.#weights;
    this.#weigh(logits);
    const ids = this.#filtered
      ? Array.from(this.#kept.subarray(0, this.#filter()))
      : Array.from(weights.keys()).filter((id) => weights[id] > 0);
    let sum = 0;
    for (const id of ids) sum += weights[id];
    return ids
      .sort((a, b) => weights[b] - weights[a] || a - b)
      .map((id) => ({ id, probability: weights[id] / sum }));
  }

  /**
   * Sets each token's weight: exp((logit − largest)/temperature) after penalties, 0 for a banned one; at temperature 0 only
   * the most likely token has a weight. Returns the sum.
   */
  #weigh(logits: ArrayLike<number>): number {
    const weights = this.#weights;
    const temperature = this.#temperature;
    const V = logits.length;
    weights.set(logits);
    this.#penalties?.apply(weights);
    for (let i = 0; i < this.#banned.length; i++) weights[this.#banned[i]] = -Infinity;
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

  /** Puts the ids that pass all filters into `kept`; returns their number. */
  #filter(): number {
    const weights = this.#weights;
    const kept = this.#kept;
    let count = 0;
    for (let id = 0; id < weights.length; id++) if (weights[id] > 0) kept[count++] = id;
    if (this.#topK < count) count = this.#take(count, weights, this.#topK, Infinity);
    if (this.#topP < 1) count = this.#take(count, weights, count, this.#topP);
    if (this.#minP > 0) count = this.#dropUnlikely(count);
    if (this.#typicalP < 1) count = this.#takeTypical(count);
    return count;
  }

  #sum(count: number): number {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += this.#weights[this.#kept[i]];
    return sum;
  }

  /** The first k by decreasing key, or the fewest of them that reach the fraction p of all weights; at least one. */
  #take(count: number, keys: Float64Array, k: number, p: number): number {
    const ranking = this.#ranking;
    const wanted = p * this.#sum(count);
    ranking.start(this.#kept, count, keys);
    let taken = 0;
    for (let reached = 0; taken === 0 || (taken < k && ranking.size > 0 && reached < wanted); taken++) {
      const id = ranking.next();
      reached += this.#weights[id];
      this.#kept[taken] = id;
    }
    return taken;
  }

  /** The ids with at least a fraction of the largest probability. */
  #dropUnlikely(count: number): number {
    const weights = this.#weights;
    const kept = this.#kept;
    let largest = 0;
    for (let i = 0; i < count; i++) largest = Math.max(largest, weights[kept[i]]);
    let left = 0;
    for (let i = 0; i < count; i++) if (weights[kept[i]] >= this.#minP * largest) kept[left++] = kept[i];
    return left;
  }

  #takeTypical(count: number): number {
    const weights = this.#weights;
    const kept = this.#kept;
    const keys = this.#typicality;
    const sum = this.#sum(count);
    let entropy = 0;
    for (let i = 0; i < count; i++) {
      const surprisal = -Math.log(weights[kept[i]] / sum);
      keys[kept[i]] = surprisal;
      entropy += (weights[kept[i]] / sum) * surprisal;
    }
    for (let i = 0; i < count; i++) keys[kept[i]] = -Math.abs(keys[kept[i]] - entropy);
    return this.#take(count, keys, count, this.#typicalP);
  }
}

/** The id at which the cumulative weights exceed `target`; the last with a weight if rounding prevents that. */
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
