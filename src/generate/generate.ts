import type { Decoder } from './decoder.ts';
import { Sequence, type SequenceOptions, type TextIndex } from './sequence.ts';

export interface GenerateOptions extends SequenceOptions, TextIndex {
  readonly maxTokens: number;
  /** Ids that end the text and are not part of it. */
  readonly stop?: ReadonlySet<number>;
}

/**
 * Generates the continuation of a prompt, token by token. The same seed gives the same text at any thread count. A prompt
 * longer than the block size is truncated to its end.
 */
export async function* generate(
  decoder: Decoder,
  prompt: ArrayLike<number>,
  options: GenerateOptions,
): AsyncGenerator<number, void, undefined> {
  for await (const id of generateInParts(decoder, prompt, options)) if (id !== undefined) yield id;
}

/** `generate` that also yields undefined wherever a prefill or a decode step may be abandoned. */
export async function* generateInParts(
  decoder: Decoder,
  prompt: ArrayLike<number>,
  options: GenerateOptions,
): AsyncGenerator<number | void, void, void> {
  const sequence = new Sequence(decoder.config, prompt, options, options);
  let logits = yield* sequence.starting(decoder);
  for (let i = 0; i < options.maxTokens; i++) {
    const id = sequence.draw(logits);
    if (options.stop?.has(id)) return;
    yield id;
    if (i + 1 === options.maxTokens) return;
    logits = sequence.canAdvanceAtOnce(decoder)
      ? await sequence.advance(decoder, id)
      : yield* sequence.advancing(decoder, id);
  }
}
