/** What a text costs a model: the measures by which models, and tokenizers, are compared. */
import type { ModelFolder } from '../checkpoint/model-folder.ts';
import { wholeBatches } from '../data/batches.ts';
import type { Corpus } from '../data/corpus.ts';
import { tokenizeCorpus, type TokenIds } from '../data/tokenize.ts';
import type { Backend } from '../engine/instruction.ts';
import { UserError } from '../errors.ts';
import { Evaluator } from './evaluate.ts';

export interface TextEvaluation {
  readonly characters: number;
  readonly bytes: number;
  readonly tokens: number;
  /** How many tokens are `<unk>`, which the model is asked to predict as such. */
  readonly unknown: number;
  /** Mean cost of a token given those before it in its window. */
  readonly natsPerToken: number;
  /** e to that: as if the model had to choose among so many equally likely tokens. */
  readonly perplexity: number;
  readonly bitsPerCharacter: number;
  /** Of UTF-8; comparable between any two models. */
  readonly bitsPerByte: number;
  /** What guessing costs, in nats per token: all tokens equally likely, and each as frequent as it is in this very text. */
  readonly uniform: number;
  readonly unigram: number;
}

/** About so many tokens are computed at once. */
const TOKENS_AT_ONCE = 2048;

/**
 * Evaluates a whole text in windows of the model's block size, side by side. Every token but the first is predicted once.
 *
 * @param progress called with the share done, 0 … 1
 * @throws UserError if the text is a single token
 */
export function evaluateText(
  folder: ModelFolder,
  backend: Backend,
  corpus: Corpus,
  progress: (done: number) => void = () => {},
): TextEvaluation {
  const { config, tokenizer } = folder;
  const { ids, unknown } = tokenizeCorpus(corpus, tokenizer);
  if (ids.length < 2)
    throw new UserError('the text is a single token; nothing can be predicted', {
      hint: 'give a longer text',
    });
  const T = Math.min(config.blockSize, ids.length - 1);
  const B = Math.max(1, Math.min(Math.floor(TOKENS_AT_ONCE / T), Math.ceil((ids.length - 1) / T)));
  const evaluator = new Evaluator(backend, config, B, T);
  folder.load(evaluator.parameters());

  let sum = 0;
  let predicted = 0;
  const source = { length: ids.length, slice: (start: number, end: number) => ids.subarray(start, end) };
  for (const batch of wholeBatches(source, { B, T })) {
    const losses = evaluator.losses(batch);
    batch.targets.forEach((target, i) => {
      if (target < 0) return;
      sum += losses[i];
      predicted++;
    });
    progress(predicted / (ids.length - 1));
  }

  const { characters, bytes } = corpus.facts;
  const first = tokenizer.decode(ids.subarray(0, 1)); // has no context, so it is not among what was predicted
  const bits = sum / Math.LN2;
  const natsPerToken = sum / predicted;
  return {
    characters,
    bytes,
    tokens: ids.length,
    unknown,
    natsPerToken,
    perplexity: Math.exp(natsPerToken),
    bitsPerCharacter: bits / (characters - Array.from(first).length),
    bitsPerByte: bits / (bytes - tokenizer.byteLength(ids[0])),
    uniform: Math.log(tokenizer.vocabSize),
    unigram: entropy(ids, tokenizer.vocabSize),
  };
}

/** −Σ p ln p of the tokens' frequencies, in nats. */
function entropy(ids: TokenIds, vocabSize: number): number {
  const counts = new Float64Array(vocabSize);
  for (const id of ids) counts[id]++;
  let sum = 0;
  for (const count of counts) if (count > 0) sum -= (count / ids.length) * Math.log(count / ids.length);
  return sum;
}
