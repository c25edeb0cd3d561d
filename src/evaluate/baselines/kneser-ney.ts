/**
 * An n-gram model with interpolated modified Kneser–Ney smoothing (Chen & Goodman 1998, "An Empirical Study of Smoothing
 * Techniques for Language Modeling", section 3; the journal version is of 1999): the best that counting does.
 *
 *     p(w | h) = max(c(hw) − D(c(hw)), 0) / Σ_v c(hv)  +  γ(h) · p(w | h′)
 *     γ(h)     = (D₁·N₁(h •) + D₂·N₂(h •) + D₃·N₃₊(h •)) / Σ_v c(hv)
 *
 * h is the context of up to n − 1 tokens, h′ the one without its oldest token, N_i(h •) how many tokens have followed h
 * i times. c counts occurrences for the longest n-grams; for all shorter ones it counts the different tokens that came
 * before, as what they have to say matters only where the longer context was never seen. Below the unigrams lies the
 * uniform distribution, so every token of the vocabulary has a probability, and they sum to 1.
 *
 * The training text is one stream; in front of it stand n − 1 marks, which are only ever context.
 */
import type { TokenSource } from '../../data/token-source.ts';
import type { TokenScores } from '../measures.ts';
import { PairTable } from '../../pair-table.ts';

/** What is subtracted from counts of 1, 2, and 3 or more. */
export type Discounts = readonly [number, number, number];

/** Tokens read from a source at once. */
const CHUNK = 1 << 16;

/**
 * The n-grams of a text: level k has those of k + 1 tokens, each a pair (number of its context in level k − 1, last token)
 * whose value is the count c above. At most n pairs a token, in practice far fewer.
 */
export interface NgramCounts {
  readonly vocabSize: number;
  readonly levels: readonly PairTable[];
}

/** Counts all n-grams up to `order` tokens in one pass. */
export function countNgrams(text: TokenSource, vocabSize: number, order: number): NgramCounts {
  const levels = Array.from({ length: order }, () => new PairTable());
  const mark = vocabSize;
  const contexts = new Int32Array(order); // [k]: the number of the last k tokens, in level k − 1
  for (let k = 1; k < order; k++) contexts[k] = levels[k - 1].add(contexts[k - 1], mark);
  for (let start = 0; start < text.length; start += CHUNK) {
    const ids = text.slice(start, Math.min(start + CHUNK, text.length));
    for (let i = 0; i < ids.length; i++) {
      let shorter = 0; // the n-gram one level below, which ends with the same token
      for (let k = 0; k < order; k++) {
        const level = levels[k];
        const before = level.size;
        const ngram = level.add(contexts[k], ids[i]);
        // One that is new tells its shorter n-gram of one more token that can come before.
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
 * The discounts that the counts of one level ask for (Chen & Goodman, section 3): from n_i, how many n-grams have the
 * count i. Where these are too few for an estimate, as of the characters of a long text, all of which are frequent, it is
 * ½, 1 and 1½, as KenLM falls back to.
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

/** A smoothed model of the counts. */
export interface NgramModel {
  readonly discounts: readonly Discounts[];
  /** p(token | the tokens before it); of these only the last n − 1 matter. */
  probability(before: ArrayLike<number>, token: number): number;
  /** What each token of a text but the first costs, given those before it in this text. */
  scores(text: TokenSource): Generator<TokenScores>;
}

/** @param discounts of each level, the unigrams' first */
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

  /** Moves the contexts on by a token, −1 for those never seen, and returns its probability. */
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
