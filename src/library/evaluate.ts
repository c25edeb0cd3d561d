import { textCorpus } from '../data/text-corpus.ts';
import { evaluateText, type EvaluationOptions, type TextEvaluation } from '../evaluate/evaluate-text.ts';
import type { Model } from './model.ts';

/**
 * Measures how well a model predicts a text: loss, perplexity, and bits per byte, which compare models with different
 * tokenizers.
 *
 * @throws UserError if the text is a single token
 */
export async function evaluate(
  model: Model,
  text: string,
  options: EvaluationOptions = {},
): Promise<TextEvaluation> {
  const backend = await model.startBackend();
  try {
    return await evaluateText(model.source, backend, textCorpus(text), options);
  } finally {
    await backend.close();
  }
}
