/** Scores each document of a text from its own start. */
import type { ModelFolder } from '../checkpoint/model-folder.ts';
import { countTargets } from '../data/batches.ts';
import { countCharacters, type Corpus } from '../data/corpus.ts';
import type { Device } from '../engine/device.ts';
import { UserError } from '../errors.ts';
import { encode, endOfTextId, type Tokenizer } from '../tokenizer/tokenizer.ts';
import { batchShape, loadedEvaluator, type EvaluationOptions } from './evaluate-text.ts';
import { measure, type Measures, type TokenScores } from './measures.ts';
import { packedDocuments } from './packed-documents.ts';
import { partOfText, textOf, type TokenizedText } from './tokenized-text.ts';

/** A document as tokens, from the end token of the previous document to its own, and its origin. */
export interface TokenizedDocument {
  readonly text: TokenizedText;
  /** Counted from 1 in the text, with documents that have no token to predict. */
  readonly number: number;
  readonly file?: string | undefined;
  readonly line?: number | undefined;
}

export interface DocumentEvaluation extends Measures, Omit<TokenizedDocument, 'text'> {
  /** Of all its tokens except the first. */
  readonly nats: number;
}

/** The documents of a corpus, in its order. A literal end token divides a text, too. */
export function* tokenizedDocuments(corpus: Corpus, tokenizer: Tokenizer): Generator<TokenizedDocument> {
  const endId = endOfTextId(tokenizer);
  const isDivided = corpus.documents !== 'whole' && endId !== undefined;
  const end = isDivided ? tokenizer.vocabulary[endId] : '';
  let number = 0;
  for (const { text, file, line } of corpus.documentTexts()) {
    const unknown: string[] = [];
    const all = encode(tokenizer, end + text + end, (found) => unknown.push(found.text));
    const ids = isDivided ? all.subarray(all.indexOf(endId)) : all; // some tokenizers put a token before a text
    for (const part of documentsOf({ tokenizer, ids, unknown, endId }))
      yield { text: part, number: ++number, file, line };
  }
}

/** The documents of a text in tokens. */
export function* documentsOf(text: TokenizedText): Generator<TokenizedText> {
  const { ids, endId } = text;
  if (ids.length === 0 || (ids.length === 1 && ids[0] !== endId)) yield text; // nothing to predict
  let from = 0;
  for (let i = 1; i < ids.length; i++) {
    if (ids[i] !== endId && i + 1 < ids.length) continue;
    const isEmpty = i - from === 1 && ids[from] === endId && ids[i] === endId;
    if (!isEmpty) yield partOfText(text, from, i + 1);
    from = i;
  }
}

/**
 * Evaluates documents independently of each other. Several share a row of a batch, which does not change results
 * (packed-documents.ts).
 *
 * @throws UserError if there is nothing to predict, UsageError if the stride exceeds the context length
 */
export async function* evaluateDocuments(
  model: ModelFolder,
  device: Device,
  all: readonly TokenizedDocument[],
  { stride, progress = () => {} }: EvaluationOptions = {},
): AsyncGenerator<DocumentEvaluation> {
  const documents = all.filter(({ text }) => text.ids.length > 1);
  const lengths = documents.map(({ text }) => text.ids.length - 1);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (total === 0)
    throw new UserError('text-too-short', 'no document has a token to predict', {
      hint: 'use a longer text',
    });
  const shape = batchShape(model, total, stride);
  const evaluator = loadedEvaluator(model, device, shape, { hasDocuments: true });
  let nats: number[] = []; // of the document whose tokens are scored
  let ranks: number[] = [];
  let scored = 0;
  let current = 0; // index of that document
  const ids = documents.map(({ text }) => text.ids);
  for (const batch of packedDocuments(ids, shape, Math.min(shape.stride, shape.T))) {
    const found = await evaluator.score(batch);
    for (let i = 0; i < batch.targets.length; i++) {
      if (batch.targets[i] < 0) continue;
      nats.push(found.losses[i]);
      ranks.push(found.ranks[i]);
      if (nats.length < lengths[current]) continue;
      yield evaluationOf(documents[current++], { first: 1, nats, ranks });
      nats = [];
      ranks = [];
    }
    scored += countTargets(batch);
    progress(scored / total);
  }
}

function evaluationOf(
  { text, ...origin }: TokenizedDocument,
  scores: TokenScores & { readonly nats: readonly number[] },
): DocumentEvaluation {
  const measures = measure(text, countCharacters(textOf(text)), [scores]);
  return { ...measures, ...origin, nats: scores.nats.reduce((sum, x) => sum + x, 0) };
}
