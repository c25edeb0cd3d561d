/** Measures how much of a model's output is copied from its training text, compared with unseen text. */
import type { ModelFolder } from '../../checkpoint/model-folder.ts';
import type { Device } from '../../engine/device.ts';
import { SequenceBatch } from '../../generate/sequence-batch.ts';
import { Decoder, textsAtOnce } from '../../generate/decoder.ts';
import { startOfText } from '../../generate/prompt.ts';
import { bannedIds } from '../../tokenizer/tokenizer.ts';
import { partOfText, type TokenizedText } from '../tokenized-text.ts';
import type { TrainingText } from '../training-text.ts';
import { findCopies, type Copies } from './copies.ts';

export interface WritingOptions {
  readonly numSamples: number;
  /** Per sample. */
  readonly maxTokens: number;
  /** 1 samples from the model's own distribution; lower temperatures copy more. */
  readonly temperature: number;
  readonly seed: number;
}

export interface Memorization {
  readonly written: Copies;
  /** The same for passages of the validation split, equal in number and length; undefined if it is too short for one. */
  readonly validation: Copies | undefined;
}

/**
 * Samples texts without a prompt and looks them up in the training text. Any text of the same language shares some passages
 * with it; the validation split shows how many.
 *
 * @param progress.written called with the share sampled, 0 … 1
 * @param progress.comparing called before the samples are looked up
 */
export async function measureMemorization(
  folder: ModelFolder,
  device: Device,
  training: TrainingText,
  options: WritingOptions,
  progress: { readonly written?: (done: number) => void; readonly comparing?: () => void } = {},
): Promise<Memorization> {
  const written = await writeTexts(folder, device, options, progress.written ?? (() => {}));
  progress.comparing?.();
  const unseen = evenParts(training.validation, options);
  const [ours, theirs] = findCopies([written, unseen], training.train);
  return { written: ours, validation: unseen.length === 0 ? undefined : theirs };
}

async function writeTexts(
  folder: ModelFolder,
  device: Device,
  options: WritingOptions,
  progress: (done: number) => void,
): Promise<TokenizedText[]> {
  const { tokenizer, config } = folder;
  const { numSamples, maxTokens } = options;
  const decoder = Decoder.create(
    device,
    config,
    (tensors) => folder.load(tensors),
    textsAtOnce(config, numSamples),
    folder.storageOf,
  );
  const batch = new SequenceBatch<number[]>(decoder, {
    ...options,
    topK: 0,
    topP: 1,
    banned: bannedIds(tokenizer),
  });
  const start = startOfText(tokenizer).ids;
  const stop = tokenizer.special.endIds;
  const texts: number[][] = [];
  let tokens = 0;
  while (texts.length < numSamples || batch.size > 0) {
    while (texts.length < numSamples && batch.free > 0) {
      const text: number[] = [];
      await batch.add(text, start, { sample: texts.length });
      texts.push(text);
    }
    for (const { text, id } of batch.draw()) {
      if (!stop.has(id)) text.push(id);
      if (stop.has(id) || text.length === maxTokens) batch.end(text);
      progress(++tokens / (numSamples * maxTokens));
    }
    await batch.advance();
  }
  return texts.map((ids) => ({ tokenizer, ids: Uint32Array.from(ids), unknown: [] }));
}

/** At most `numSamples` passages of `maxTokens` tokens, evenly spaced. */
function evenParts(text: TokenizedText, { numSamples, maxTokens }: WritingOptions): TokenizedText[] {
  const count = Math.min(numSamples, Math.floor(text.ids.length / maxTokens));
  return Array.from({ length: count }, (_, i) => {
    const start = Math.floor((i * (text.ids.length - maxTokens)) / Math.max(1, count - 1));
    return partOfText(text, start, start + maxTokens);
  });
}
