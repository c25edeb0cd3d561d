/** Bits per byte from a mean loss, without scoring the text again. */
import type { TokenSource } from '../data/token-source.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { byteLengths } from './measures.ts';

/** In tokens. */
const CHUNK = 65_536;

/**
 * The bits per byte of a text, as `gpt eval` measures them.
 *
 * @param loss mean over the targets of `source`, in nats
 * @param endId the token that ends documents, in a text that is divided into documents
 * @returns undefined if a target is `<unk>`, whose spelling is not known here, or if no target stands for text
 */
export function bitsPerByte(
  loss: number,
  source: TokenSource,
  tokenizer: Tokenizer,
  endId?: number,
): number | undefined {
  const lengths = byteLengths(tokenizer, endId);
  // Of conversations, only what the assistant says is text; special tokens mark its turns.
  if (source.counted !== undefined) for (const id of tokenizer.specialIds) lengths[id] = 0;
  let [targets, bytes] = [0, 0];
  for (let start = 1; start < source.length; start += CHUNK) {
    const end = Math.min(start + CHUNK, source.length);
    const ids = source.slice(start, end);
    const counted = source.counted?.(start, end);
    for (let i = 0; i < ids.length; i++) {
      if (counted?.[i] === 0) continue;
      if (ids[i] === tokenizer.unkId) return undefined;
      targets++;
      bytes += lengths[ids[i]];
    }
  }
  return bytes === 0 ? undefined : (loss * targets) / Math.LN2 / bytes;
}
