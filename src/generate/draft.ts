import { Philox, Stream } from '../engine/philox.ts';
import { allParts, type InParts } from '../polling.ts';
import type { Decoder } from './decoder.ts';
import { Sampler, type SamplingOptions } from './sampling.ts';

export interface DraftOptions extends SamplingOptions {
  readonly seed: number;
  /** Ids never drawn. */
  readonly banned?: ReadonlySet<number>;
}

/** Identifies a text's random stream under a seed: its tokens do not depend on the rest of the batch. */
export interface TextNumber {
  /** Which of several prompts it continues, counted from 0. */
  readonly promptIndex?: number;
  /** Which of several texts after the same prompt it is, counted from 0. */
  readonly sample?: number;
}

/**
 * A text that is being written: what the model sees of it, and how its next token is drawn.
 *
 * The model sees at most its block size. When that is full, it reads the younger half again from position 0 and goes on
 * from there: positions are learned from 0 up, so the cache cannot simply slide, and re-reading a half every T/2 tokens
 * costs little where re-reading everything for each token, as nanoGPT does, would undo the cache.
 */
export class Draft {
  readonly sampler: Sampler;
  /** The end of the text, prompt included. */
  readonly #context: number[];
  readonly #random: Philox;
  readonly #blockSize: number;
  readonly #next = [0];

  constructor(
    { blockSize, vocabSize }: { blockSize: number; vocabSize: number },
    prompt: ArrayLike<number>,
    options: DraftOptions,
    { promptIndex = 0, sample = 0 }: TextNumber = {},
  ) {
    this.sampler = new Sampler(vocabSize, options, options.banned, prompt);
    this.#random = new Philox(options.seed, sample, Stream.sampling, promptIndex);
    this.#context = Array.from(prompt).slice(-blockSize);
    this.#blockSize = blockSize;
  }

  /** Lets the decoder read the prompt; returns the logits [V] of what comes next. */
  start(decoder: Decoder, text = 0): Float32Array {
    return allParts(this.starting(decoder, text));
  }

  /** The same in parts. */
  starting(decoder: Decoder, text = 0): InParts<Float32Array> {
    decoder.reset(text);
    return decoder.reading(this.#context, text);
  }

  /** Draws the next token. */
  draw(logits: ArrayLike<number>): number {
    return this.sampler.draw(logits, this.#random.uniform());
  }

  /** Takes note of the next token, drawn or chosen. */
  append(id: number): void {
    this.sampler.accept(id);
    this.#context.push(id);
  }

  /** Takes note of the next token and lets the decoder read it, as the only text or the first; returns the logits behind it. */
  advance(decoder: Decoder, id: number): Float32Array {
    return allParts(this.advancing(decoder, id));
  }

  /** The same in parts. */
  *advancing(decoder: Decoder, id: number): InParts<Float32Array> {
    this.append(id);
    if (this.overflows) return yield* this.restarting(decoder);
    this.#next[0] = id;
    return decoder.step(this.#next);
  }

  /** Whether the model has to read the younger half anew before it can read the token appended last. */
  get overflows(): boolean {
    return this.#context.length > this.#blockSize;
  }

  /** Lets the decoder forget the older half and read the younger one. */
  restart(decoder: Decoder, text = 0): Float32Array {
    return allParts(this.restarting(decoder, text));
  }

  /** The same in parts. */
  restarting(decoder: Decoder, text = 0): InParts<Float32Array> {
    this.#context.splice(0, this.#context.length - Math.max(1, Math.floor(this.#blockSize / 2)));
    return this.starting(decoder, text);
  }
}
