/** Compares a model's validation loss with the simplest n-gram baselines, fitted on its training split. */
import type { Split, TokenSource } from '../../data/token-source.ts';
import { countNgrams, createNgramModel } from './kneser-ney.ts';

export interface SimpleBaseline {
  readonly name: 'unigram' | 'bigram';
  /** On the validation split, in nats per token. */
  readonly loss: number;
}

/** Longer splits are skipped: counting takes over half a second, and a baseline rarely matches the model there. */
const MAX_TOKENS = 2_000_000;

/**
 * The simplest baseline that a model does not beat. The baselines are those of `trainBaselines`.
 *
 * @param loss of the model on the validation split, in nats per token
 * @returns undefined if it beats both, or a split is too long to count
 */
export function baselineAhead(
  loss: number,
  { train, validation }: Split,
  vocabSize: number,
): SimpleBaseline | undefined {
  if (Math.max(train.length, validation.length) > MAX_TOKENS) return undefined;
  for (const [name, order] of [
    ['unigram', 1],
    ['bigram', 2],
  ] as const) {
    const baseline = ngramLoss(train, validation, vocabSize, order);
    if (loss >= baseline) return { name, loss: baseline };
  }
  return undefined;
}

function ngramLoss(train: TokenSource, validation: TokenSource, vocabSize: number, order: number): number {
  const model = createNgramModel(countNgrams(train, vocabSize, order));
  let [sum, count] = [0, 0];
  for (const { first, nats } of model.scores(validation)) {
    const counted = validation.counted?.(first, first + nats.length);
    for (let i = 0; i < nats.length; i++) {
      if (counted?.[i] === 0) continue;
      sum += nats[i];
      count++;
    }
  }
  return sum / count;
}
