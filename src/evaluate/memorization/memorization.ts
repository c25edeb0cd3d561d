/** How much of what a model writes stands verbatim in its training text, beside what of a text that it has not seen does. */
import type { ModelFolder } from '../../checkpoint/model-folder.ts';
import type { Backend } from '../../engine/device.ts';
import { Batch } from '../../generate/batch.ts';
import { Decoder, textsAtOnce } from '../../generate/decoder.ts';
import { startOfText } from '../../generate/prompt.ts';
import { bannedIds } from '../../tokenizer/tokenizer.ts';
import { partOfText, type TokenizedText } from '../tokenized-text.ts';
import type { TrainingText } from '../training-text.ts';
import { findCopies, type Copies } from './copies.ts';

export interface WritingOptions {
  readonly numSamples: number;
  /** Of each sample. */
  readonly maxTokens: number;
  /** 1: what the model itself holds likely; lower ones copy more. */
  readonly temperature: number;
  readonly seed: number;
}

export interface Memorization {
  readonly written: Copies;
  /** As many stretches of the validation split, as long; undefined if it is too short for one. */
  readonly validation: Copies | undefined;
}

/**
 * Lets a model write, each text from nothing, and looks its texts up in what it was trained on. Any text of the same
 * language shares some stretches with it: how many, the validation split shows.
 *
 * @param progress.written called with the share written, 0 … 1
 * @param progress.comparing called before what was written is looked up in the training text
 */
export function measureMemorization(
  folder: ModelFolder,
  backend: Backend,
  training: TrainingText,
  options: WritingOptions,
  progress: { readonly written?: (done: number) => void; readonly comparing?: () => void } = {},
): Memorization {
  const written = writeTexts(folder, backend, options, progress.written ?? (() => {}));
  progress.comparing?.();
  const unseen = evenParts(training.validation, options);
  const [ours, theirs] = findCopies([written, unseen], training.train);
  return { written: ours, validation: unseen.length === 0 ? undefined : theirs };
}

function writeTexts(
  folder: ModelFolder,
  backend: Backend,
  options: WritingOptions,
  progress: (done: number) => void,
): TokenizedText[] {
  const { tokenizer, config } = folder;
  const { numSamples, maxTokens } = options;
  const decoder = Decoder.create(
    backend,
    config,
    (tensors) => folder.load(tensors, { firstNonFinite: backend.firstNonFinite }),
    textsAtOnce(config, numSamples),
  );
  const batch = new Batch<number[]>(decoder, { ...options, topK: 0, topP: 1, banned: bannedIds(tokenizer) });
  const start = startOfText(tokenizer).ids;
  const stop = tokenizer.special.endIds;
  const texts: number[][] = [];
  let tokens = 0;
  while (texts.length < numSamples || batch.size > 0) {
    while (texts.length < numSamples && batch.free > 0) {
      const text: number[] = [];
      batch.add(text, start, { sample: texts.length });
      texts.push(text);
    }
    for (const { text, id } of batch.draw()) {
      if (!stop.has(id)) text.push(id);
      if (stop.has(id) || text.length === maxTokens) batch.end(text);
      progress(++tokens / (numSamples * maxTokens));
    }
    batch.advance();
  }
  return texts.map((ids) => ({ tokenizer, ids: Uint32Array.from(ids), unknown: [] }));
}

/** Stretches of `maxTokens` tokens, at most `numSamples`, evenly spread. */
function evenParts(text: TokenizedText, { numSamples, maxTokens }: WritingOptions): TokenizedText[] {
  const count = Math.min(numSamples, Math.floor(text.ids.length / maxTokens));
  return Array.from({ length: count }, (_, i) => {
    const start = Math.floor((i * (text.ids.length - maxTokens)) / Math.max(1, count - 1));
    return partOfText(text, start, start + maxTokens);
  });
}
