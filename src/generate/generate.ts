import type { Decoder } from './decoder.ts';
import { Draft, type DraftOptions, type TextNumber } from './draft.ts';

export interface GenerateOptions extends DraftOptions, TextNumber {
  readonly maxTokens: number;
  /** Ids that end the text; they are not part of it. */
  readonly stop?: ReadonlySet<number>;
}

/**
 * Writes on after a prompt, one token at a time. The same seed gives the same text, whatever the thread count. Of a prompt
 * longer than the model's block, the model sees the end.
 */
export function* generate(
  decoder: Decoder,
  prompt: ArrayLike<number>,
  options: GenerateOptions,
): Generator<number> {
  const draft = new Draft(decoder.config, prompt, options, options);
  let logits = draft.start(decoder);
  for (let i = 0; i < options.maxTokens; i++) {
    const id = draft.draw(logits);
    if (options.stop?.has(id)) return;
    yield id;
    if (i + 1 === options.maxTokens) return;
    logits = draft.advance(decoder, id);
  }
}
