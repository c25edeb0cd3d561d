/** Scores texts with a trained model. */
import type { ModelFolder } from '../checkpoint/model-folder.ts';
import { wholeBatches, type BatchShape } from '../data/batches.ts';
import type { Corpus } from '../data/corpus.ts';
import { dividedRows } from '../data/documents/document-rows.ts';
import type { Device } from '../engine/device.ts';
import { UsageError, UserError } from '../errors.ts';
import { optionName } from '../messages.ts';
import { evaluationBatchSize } from '../train/programs.ts';
import { endOfTextId } from '../tokenizer/tokenizer.ts';
import { Evaluator, type EvaluatorOptions } from './evaluator.ts';
import { measureScored, type Measures, type TokenScores } from './measures.ts';
import { readTokenizedText, sourceOf, type TokenizedText } from './tokenized-text.ts';

export interface EvaluationOptions {
  /**
   * Distance between the starts of adjacent windows, in tokens. Each token is scored once, with at least T − stride tokens
   * of context. Default T, the context length: adjacent windows, the fastest.
   */
  readonly stride?: number;
  /** Tokens attend only within their document, as in the model's training; see `CorpusRecord`. Default false. */
  readonly documentMask?: boolean;
  /** Called with the share done, 0 … 1. */
  readonly progress?: (done: number) => void;
}

export interface TextEvaluation extends Measures {
  readonly stride: number;
  /** Loss of a uniform guess: ln V nats per token. */
  readonly uniform: number;
}

/** Approximate number of tokens per batch. */
const TOKENS_AT_ONCE = 2048;

/**
 * Evaluates a whole text. Every token except the first is predicted once.
 *
 * @throws UserError if the text is a single token, UsageError if the stride exceeds the context length
 */
export async function evaluateText(
  folder: ModelFolder,
  device: Device,
  corpus: Corpus,
  options: EvaluationOptions = {},
): Promise<TextEvaluation> {
  const text = readTokenizedText(corpus, folder.tokenizer);
  const scorer = openScorer(folder, device, text.ids.length, options);
  const measures = await measureScored(text, corpus.facts.characters, scorer.scores(text, options.progress));
  return {
    ...measures,
    stride: scorer.stride,
    uniform: Math.log(folder.config.vocabSize),
  };
}

/** A model in engine memory that scores texts in its own tokens. */
export interface Scorer {
  readonly stride: number;
  /**
   * Scores of every token except the first, in order. Each chunk is valid until the next is requested.
   *
   * @param progress called with the share done, 0 … 1
   */
  scores(text: TokenizedText, progress?: (done: number) => void): AsyncGenerator<TokenScores>;
}

/**
 * @param tokens length of the longest text
 * @throws UsageError if the stride exceeds the context length
 */
export function openScorer(
  model: ModelFolder,
  device: Device,
  tokens: number,
  options: Pick<EvaluationOptions, 'stride' | 'documentMask'> = {},
): Scorer {
  const { stride, B, T } = batchShape(model, tokens - 1, options.stride);
  const evaluator = loadedEvaluator(model, device, { B, T }, { hasDocuments: options.documentMask });
  return {
    stride,
    async *scores(text, progress = () => {}) {
      const { ids } = text;
      if (ids.length < 2)
        throw new UserError('text-too-short', 'the text is a single token; there is nothing to predict', {
          hint: 'use a longer text',
        });
      const nats = new Float32Array(B * T);
      const ranks = new Float32Array(B * T);
      let first = 1;
      const batches = wholeBatches(sourceOf(text), { B, T }, Math.min(stride, T));
      const endId = text.endId ?? endOfTextId(text.tokenizer);
      for (const batch of options.documentMask ? dividedRows(batches, T, endId) : batches) {
        const scored = await evaluator.score(batch);
        let count = 0;
        batch.targets.forEach((target, i) => {
          if (target < 0) return;
          nats[count] = scored.losses[i];
          ranks[count] = scored.ranks[i];
          count++;
        });
        yield {
          first,
          nats: nats.subarray(0, count),
          ranks: ranks.subarray(0, count),
        };
        first += count;
        progress((first - 1) / (ids.length - 1));
      }
    },
  };
}

/**
 * Batches for a number of targets, and the stride of windows.
 *
 * @throws UsageError if the stride exceeds the context length
 */
export function batchShape(
  { config, folder }: ModelFolder,
  targets: number,
  stride = config.blockSize,
): BatchShape & { readonly stride: number } {
  if (stride > config.blockSize)
    throw new UsageError(
      'bad-option-value',
      `${optionName('stride')} ${stride} exceeds the block size of ${folder}, ${config.blockSize}: tokens would be skipped`,
      { hint: `use a stride of 1 to ${config.blockSize}` },
    );
  const T = Math.max(1, Math.min(config.blockSize, targets));
  const windows = Math.ceil(targets / Math.min(stride, T));
  const B = evaluationBatchSize(Math.min(Math.floor(TOKENS_AT_ONCE / T), windows), T);
  return { stride, B, T };
}

/** A model in engine memory. */
export function loadedEvaluator(
  model: ModelFolder,
  device: Device,
  shape: BatchShape,
  options: Omit<EvaluatorOptions, 'storageOf'> = {},
): Evaluator {
  const evaluator = new Evaluator(device, model.config, shape, { ...options, storageOf: model.storageOf });
  model.load(evaluator.targets());
  return evaluator;
}
