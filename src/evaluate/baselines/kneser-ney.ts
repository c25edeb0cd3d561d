/**
 * An n-gram model with interpolated modified Kneser–Ney smoothing (Chen & Goodman 1998, "An Empirical Study of Smoothing
 * Techniques for Language Modeling", section 3; journal version 1999), the strongest of the classic n-gram models.
 *
 *     p(w | h) = max(c(hw) − D(c(hw)), 0) / Σ_v c(hv)  +  γ(h) · p(w | h′)
 *     γ(h)     = (D₁·N₁(h •) + D₂·N₂(h •) + D₃·N₃₊(h •)) / Σ_v c(hv)
 *
 * h is the context of up to n − 1 tokens, h′ is h without its oldest token, and N_i(h •) is the number of tokens that
 * followed h exactly i times. For the longest n-grams, c counts occurrences. For shorter ones it counts the distinct tokens
 * that preceded them, because they matter only where the longer context is new. Below the unigrams is the uniform
 * distribution, so every token has a positive probability, and they sum to 1.
 *
 * The training text is a single stream, preceded by n − 1 marks that occur only as context.
 */
import type { TokenSource } from '../../data/token-source.ts';
import type { TokenScores } from '../measures.ts';
import { PairTable } from '../../pair-table.ts';

/** Subtracted from counts of 1, 2, and 3 or more. */
export type Discounts = readonly [number, number, number];

/** Tokens per read. */
const CHUNK = 1 << 16;

/**
 * n-gram counts of a text. Level k holds the n-grams of k + 1 tokens, keyed by (number of the context in level k − 1, last
 * token), with c as their value. At most n entries per token, in practice far fewer.
 */
export interface NgramCounts {
  readonly vocabSize: number;
  readonly levels: readonly PairTable[];
}

/** Counts all n-grams of up to `order` tokens in one pass. */
export function countNgrams(text: TokenSource, vocabSize: number, order: number): NgramCounts {
  const levels = Array.from({ length: order }, () => new PairTable());
  const mark = vocabSize;
  const contexts = new Int32Array(order); // [k]: number of the last k tokens in level k − 1
  for (let k = 1; k < order; k++) contexts[k] = levels[k - 1].add(contexts[k - 1], mark);
  for (let start = 0; start < text.length; start += CHUNK) {
    const ids = text.slice(start, Math.min(start + CHUNK, text.length));
    for (let i = 0; i < ids.length; i++) {
      let shorter = 0; // the n-gram of one token less that ends with the same token
      for (let k = 0; k < order; k++) {
        const level = levels[k];
        const before = level.size;
        const ngram = level.add(contexts[k], ids[i]);
        // A new n-gram is another distinct continuation for the shorter one.
        if (ngram === before && k > 0) levels[k - 1].values[shorter]++;
        if (k === order - 1) level.values[ngram]++;
        contexts[k] = shorter;
        shorter = ngram;
      }
    }
  }
  return { vocabSize, levels };
}

/**
 * Estimates the discounts of a level (Chen & Goodman, section 3) from n_i, the number of n-grams with count i. If the n_i
 * are too small, as for characters, all of which are frequent in a long text, the discounts are ½, 1 and 1½, like KenLM's
 * fallback.
 */
export function estimateDiscounts(level: PairTable): Discounts {
  const n = [0, 0, 0, 0, 0];
  for (let ngram = 0; ngram < level.size; ngram++) {
    const count = level.values[ngram];
    if (count >= 1 && count <= 4) n[count]++;
  }
  const y = n[1] / (n[1] + 2 * n[2]);
  const discounts: Discounts = [
    1 - (2 * y * n[2]) / n[1],
    2 - (3 * y * n[3]) / n[2],
    3 - (4 * y * n[4]) / n[3],
  ];
  return discounts.every((discount, i) => discount > 0 && discount <= i + 1) ? discounts : [0.5, 1, 1.5];
}

/** A smoothed n-gram model. */
export interface NgramModel {
  readonly discounts: readonly Discounts[];
  /** p(token | before), of which only the last n − 1 tokens matter. */
  probability(before: ArrayLike<number>, token: number): number;
  /** Scores of all tokens of a text except the first. */
  scores(text: TokenSource): Generator<TokenScores>;
}

/** @param discounts by level, starting with unigrams */
export function createNgramModel(
  counts: NgramCounts,
  discounts: readonly Discounts[] = counts.levels.map(estimateDiscounts),
): NgramModel {
  const { levels, vocabSize } = counts;
  const order = levels.length;
  const discountOf = (k: number, count: number): number => discounts[k][Math.min(count, 3) - 1];
  // Σ_v c(hv) and Σ_v D(c(hv)) of each context h, by its number in the level below
  const totals = levels.map((_, k) => new Float64Array(k === 0 ? 1 : levels[k - 1].size));
  const held = totals.map((each) => new Float64Array(each.length));
  levels.forEach((level, k) => {
    for (let ngram = 0; ngram < level.size; ngram++) {
      const count = level.values[ngram];
      if (count === 0) continue;
      totals[k][level.first(ngram)] += count;
      held[k][level.first(ngram)] += discountOf(k, count);
    }
  });

  /** Returns the probability of a token and appends it to the contexts; −1 marks a context that was never seen. */
  const step = (contexts: Int32Array, token: number): number => {
    let p = 1 / vocabSize;
    let shorter = 0;
    for (let k = 0; k < order; k++) {
      const context = contexts[k];
      contexts[k] = shorter;
      const ngram = context < 0 ? -1 : levels[k].find(context, token);
      shorter = ngram;
      if (context < 0 || totals[k][context] === 0) continue;
      const count = ngram < 0 ? 0 : levels[k].values[ngram];
      const kept = count === 0 ? 0 : count - discountOf(k, count);
      p = (kept + held[k][context] * p) / totals[k][context];
    }
    return p;
  };
  const noContext = (): Int32Array => new Int32Array(order).fill(-1).fill(0, 0, 1);

  return {
    discounts,
    probability(before, token) {
      const contexts = noContext();
      for (let i = Math.max(0, before.length - order + 1); i < before.length; i++) step(contexts, before[i]);
      return step(contexts, token);
    },
    *scores(text) {
      const contexts = noContext();
      for (let start = 0; start < text.length; start += CHUNK) {
        const ids = text.slice(start, Math.min(start + CHUNK, text.length));
        const nats = Float64Array.from(ids, (id) => -Math.log(step(contexts, id)));
        yield start === 0 ? { first: 1, nats: nats.subarray(1) } : { first: start, nats };
      }
    },
  };
}
