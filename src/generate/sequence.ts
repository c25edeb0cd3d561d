import { Philox, Stream } from '../engine/philox.ts';
import type { InParts } from '../polling.ts';
import type { Decoder } from './decoder.ts';
import { Sampler, type SamplingOptions } from './sampling.ts';

export interface SequenceOptions extends SamplingOptions {
  readonly seed: number;
  /** Ids that are never sampled. */
  readonly banned?: ReadonlySet<number>;
}

/** Selects a text's random stream, so that its tokens do not depend on the rest of the batch. */
export interface TextIndex {
  /** Index of its prompt among several, from 0. */
  readonly promptIndex?: number;
  /** Index among several texts after the same prompt, from 0. */
  readonly sample?: number;
}

/**
 * A sequence being generated: its context, and the sampling of the next token.
 *
 * When the context is full (T tokens), its last half is prefilled again from position 0. A KV cache cannot slide under learned
 * positions, and a prefill of T/2 tokens every T/2 tokens costs little, whereas nanoGPT's prefill for every token would defeat
 * the cache.
 */
export class Sequence {
  readonly sampler: Sampler;
  /** The most recent tokens of prompt and text. */
  readonly #context: number[];
  readonly #random: Philox;
  readonly #blockSize: number;
  readonly #next = [0];

  constructor(
    { blockSize, vocabSize }: { blockSize: number; vocabSize: number },
    prompt: ArrayLike<number>,
    options: SequenceOptions,
    { promptIndex = 0, sample = 0 }: TextIndex = {},
  ) {
    this.sampler = new Sampler(vocabSize, options, options.banned, prompt);
    this.#random = new Philox(options.seed, sample, Stream.sampling, promptIndex);
    this.#context = Array.from(prompt).slice(-blockSize);
    this.#blockSize = blockSize;
  }

  /** Prefills the prompt, in parts; returns the logits [V] of the next token. */
  starting(decoder: Decoder, text = 0): InParts<Float32Array> {
    decoder.reset(text);
    return decoder.reading(this.#context, text);
  }

  /** Samples the next token. */
  draw(logits: ArrayLike<number>): number {
    return this.sampler.draw(logits, this.#random.uniform());
  }

  /** Appends the next token, whether it was sampled or not. */
  append(id: number): void {
    this.sampler.accept(id);
    this.#context.push(id);
  }

  /** Appends the next token and runs a decode step for the (first) text, in parts; returns the logits [V] after it. */
  async *advancing(decoder: Decoder, id: number): InParts<Float32Array> {
    this.append(id);
    if (this.overflows) return yield* this.restarting(decoder);
    this.#next[0] = id;
    return yield* decoder.stepping(this.#next);
  }

  /** A decode step is so short that it needs no parts. */
  canAdvanceAtOnce(decoder: Decoder): boolean {
    return !this.isFull && decoder.isStepShort(1);
  }

  /** `advancing` without parts, see canAdvanceAtOnce. */
  advance(decoder: Decoder, id: number): Promise<Float32Array> {
    this.append(id);
    this.#next[0] = id;
    return decoder.step(this.#next);
  }

  /** One more token makes the context overflow. */
  get isFull(): boolean {
    return this.#context.length >= this.#blockSize;
  }

  /** The context has overflowed: its last half must be prefilled again. */
  get overflows(): boolean {
    return this.#context.length > this.#blockSize;
  }

  /** Prefills the last half of the context, in parts; returns the logits [V] of the next token. */
  restarting(decoder: Decoder, text = 0): InParts<Float32Array> {
    this.#context.splice(0, this.#context.length - Math.max(1, Math.floor(this.#blockSize / 2)));
    return this.starting(decoder, text);
  }
}
