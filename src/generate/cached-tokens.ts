import type { InParts } from '../polling.ts';
import type { Decoder } from './decoder.ts';

/**
 * The KV cache of a decoder's first text, kept while the tokens before the next one change, as between the turns of a chat:
 * only what differs from the cached tokens is prefilled.
 */
export class CachedTokens {
  readonly #decoder: Decoder;
  readonly #ids: number[] = [];

  constructor(decoder: Decoder) {
    this.#decoder = decoder;
    decoder.reset();
  }

  /** Number of tokens in the cache. */
  get length(): number {
    return this.#ids.length;
  }

  /** Number of tokens at the start of `ids` that need no prefill. The last is always prefilled, for its logits. */
  sharedWith(ids: ArrayLike<number>): number {
    const most = Math.min(this.#ids.length, ids.length - 1);
    let shared = 0;
    while (shared < most && this.#ids[shared] === ids[shared]) shared++;
    return shared;
  }

  /**
   * Puts these tokens, at most as many as the context length, into the cache in place of what it holds; returns the logits [V]
   * after the last one. If abandoned, the cache keeps the tokens that are shared.
   */
  async *reading(ids: ArrayLike<number>): InParts<Float32Array> {
    const shared = this.sharedWith(ids);
    this.#decoder.truncate(shared);
    this.#ids.length = shared;
    const rest = Array.prototype.slice.call(ids, shared) as number[];
    const logits = yield* this.#decoder.reading(rest);
    this.#ids.push(...rest);
    return logits;
  }

  /** Appends a token; returns the logits [V] after it. If abandoned, it has no effect. */
  async *appending(id: number): InParts<Float32Array> {
    const ids = [id];
    const logits = this.#decoder.isStepShort(1)
      ? await this.#decoder.step(ids)
      : yield* this.#decoder.stepping(ids);
    this.#ids.push(id);
    return logits;
  }
}
