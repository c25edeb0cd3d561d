import { Philox, Stream } from '../engine/philox.ts';
import type { Decoder } from './decoder.ts';
import { Sampler, type SamplingOptions } from './sampling.ts';

export interface GenerateOptions extends SamplingOptions {
  readonly maxTokens: number;
  readonly seed: number;
  /** Which of several samples of one seed this is. */
  readonly sample?: number;
  /** Ids never drawn. */
  readonly banned?: ReadonlySet<number>;
  /** Ids that end the text; they are not part of it. */
  readonly stop?: ReadonlySet<number>;
}

/**
 * Writes on after a prompt, one token at a time. The same seed gives the same text, whatever the thread count.
 *
 * The model sees at most its block size. When that is full, it reads the younger half again from position 0 and goes on
 * from there: positions are learned from 0 up, so the cache cannot simply slide, and re-reading a half every T/2 tokens
 * costs little where re-reading everything for each token, as nanoGPT does, would undo the cache.
 */
export function* generate(
  decoder: Decoder,
  prompt: ArrayLike<number>,
  options: GenerateOptions,
): Generator<number> {
  const { blockSize, vocabSize } = decoder.config;
  const sampler = new Sampler(vocabSize, options, options.banned);
  const random = new Philox(options.seed, options.sample ?? 0, Stream.sampling);
  const context = Array.from(prompt).slice(-blockSize);
  decoder.reset();
  let logits = decoder.read(context);
  for (let i = 0; i < options.maxTokens; i++) {
    const id = sampler.draw(logits, random.uniform());
    if (options.stop?.has(id)) return;
    yield id;
    if (i + 1 === options.maxTokens) return;
    context.push(id);
    if (decoder.length === blockSize) {
      context.splice(0, context.length - Math.max(1, Math.floor(blockSize / 2)));
      decoder.reset();
      logits = decoder.read(context);
    } else {
      logits = decoder.read([id]);
    }
  }
}
