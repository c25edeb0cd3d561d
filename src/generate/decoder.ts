import { plan } from '../autodiff/plan.ts';
import { createTape } from '../autodiff/tape.ts';
import type { Backend, Loaded } from '../engine/device.ts';
import { runInParts } from '../engine/run-in-parts.ts';
import { Layout, type Region } from '../engine/memory.ts';
import type { Architecture } from '../model/architecture.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import {
  parameterValues,
  placeModel,
  tensorsOf,
  transposeWeights,
  type NamedTensor,
  type PlacedModel,
} from '../model/placement.ts';
import { allParts, type InParts } from '../polling.ts';

/** A recorded pass. */
interface Pass {
  readonly loaded: Loaded;
  readonly instructions: number;
  /** How long it took the last time, pauses included; undefined: not known yet. */
  seconds: number | undefined;
  /** The logits of the last token of each text, as they lie in memory. */
  logits: Float32Array;
  readonly offset: number;
}

/**
 * So many texts are written in one pass at most. From more rows on, the matrix product packs its operands and sums up in
 * another order (kernels/gemm/gemm.ts), and a text would no longer be the same to the bit as when it is written alone.
 */
export const MAX_TEXTS = 16;

/** The caches of all texts together take at most so many bytes, if more than one is wanted. */
const CACHE_BYTES = 2 ** 30;

/** How many texts a decoder of this model should write at a time, of so many that are wanted. */
export function textsAtOnce(config: ModelConfig, wanted: number): number {
  const { heads, headSize } = architectureOf(config).cache(config);
  const bytes = 4 * 2 * config.nLayer * heads * headSize * config.blockSize;
  return Math.max(1, Math.min(wanted, MAX_TEXTS, Math.floor(CACHE_BYTES / bytes) - 1));
}

/** Prompts are read in multiples of so many tokens, so that there are few passes to record, whatever their lengths. */
const READ_STEP = 16;

/**
 * A model that reads tokens and says what it expects next, in one text or in several at a time. Keys and values of what it has
 * read stay in caches, one for each text, so each token is computed once. Any number of new tokens of one text goes through
 * the model in one pass, and so does one new token of each text.
 */
export class Decoder {
  readonly config: ModelConfig;
  /** How many texts there are. */
  readonly texts: number;
  readonly #backend: Backend;
  readonly #architecture: Architecture;
  readonly #model: PlacedModel;
  readonly #caches: readonly { readonly keys: Region; readonly values: Region }[];
  readonly #ids: Region;
  readonly #positions: Region;
  readonly #rng: Region;
  readonly #last: Region;
  readonly #arena: number;
  /** Which cache `read` works on: that of the only text, or one beside those of several. */
  readonly #desk: number;
  readonly #reads = new Map<number, Pass>();
  readonly #steps: Pass[] = [];
  readonly #lengths: Uint32Array;

  /**
   * @param model parameters that are in the backend's memory already, those of a model in training for one
   * @param layout where memory is free
   * @param texts how many to write at a time, at most MAX_TEXTS
   */
  constructor(backend: Backend, model: PlacedModel, layout: Layout, texts = 1) {
    const { config } = model;
    if (texts < 1 || texts > MAX_TEXTS)
      throw new RangeError(`${texts} texts at a time, not 1 to ${MAX_TEXTS}`);
    if (texts > 1 && !model.transposed) throw new Error('several texts need a model laid out for decoding');
    this.config = config;
    this.texts = texts;
    this.#backend = backend;
    this.#model = model;
    this.#desk = texts === 1 ? 0 : texts;
    this.#architecture = architectureOf(config);
    const { heads, headSize } = this.#architecture.cache(config);
    const cache = () => layout.allocate((this.#desk + 1) * heads * config.blockSize * headSize);
    this.#caches = Array.from({ length: config.nLayer }, () => ({ keys: cache(), values: cache() }));
    const tokens = Math.max(config.blockSize, texts);
    this.#ids = layout.allocate(tokens, 'i32');
    this.#positions = layout.allocate(tokens, 'i32');
    this.#rng = layout.allocate(4, 'i32');
    this.#last = layout.allocate(1, 'i32');
    this.#arena = layout.end;
    this.#lengths = new Uint32Array(this.#desk + 1);
    backend.reserve(layout.end);
  }

  /**
   * A decoder with a model of its own at the start of memory, laid out for speed.
   *
   * @param write writes all parameters, handed to it as views of memory
   */
  static create(
    backend: Backend,
    config: ModelConfig,
    write: (tensors: NamedTensor[]) => void,
    texts = 1,
  ): Decoder {
    const layout = new Layout();
    const model = placeModel(config, layout);
    backend.reserve(layout.end);
    const floats = backend.floats as Float32Array;
    write(tensorsOf(model.block, model.region, floats));
    return new Decoder(backend, transposeWeights(model, floats), layout, texts);
  }

  /** How many tokens of the (first) text have been read; at most the model's block size. */
  get length(): number {
    return this.lengthOf(0);
  }

  lengthOf(text: number): number {
    return this.#lengths[text];
  }

  /** Forgets what was read. */
  reset(text = 0): void {
    this.#lengths[text] = 0;
  }

  /**
   * Reads tokens of one text after those read before; returns the logits [V] of what comes next, a view that the next call
   * overwrites. All of them together must fit in the block size.
   */
  read(ids: ArrayLike<number>, text = 0): Float32Array {
    return allParts(this.reading(ids, text));
  }

  /** `read` in parts of about SIGNAL_POLL_SECONDS: prefilling a long prompt takes a large model seconds. If abandoned, it has no effect. */
  *reading(ids: ArrayLike<number>, text = 0): InParts<Float32Array> {
    const { blockSize } = this.config;
    const before = this.#lengths[text];
    const count = ids.length;
    if (count === 0 || before + count > blockSize)
      throw new RangeError(`${count} tokens after ${before} do not fit a block of ${blockSize}`);
    if (text !== this.#desk) this.copy(text, this.#desk);
    // What is read beyond the last token is seen by none before it, and overwritten before any behind it looks.
    const T = count === 1 ? 1 : Math.min(Math.ceil(count / READ_STEP) * READ_STEP, blockSize - before);
    let pass = this.#reads.get(T);
    if (pass === undefined) this.#reads.set(T, (pass = this.#record(1, T, this.#desk)));
    const { ints } = this.#backend;
    for (let t = 0; t < T; t++) {
      ints[this.#ids.offset + t] = t < count ? ids[t] : 0;
      ints[this.#positions.offset + t] = before + t;
    }
    ints[this.#last.offset] = count - 1;
    const start = performance.now();
    yield* runInParts(pass.loaded, pass.instructions, pass.seconds);
    pass.seconds = (performance.now() - start) / 1000;
    const logits = this.#logits(pass);
    this.#lengths[this.#desk] = before + count;
    if (text !== this.#desk) this.copy(this.#desk, text, before);
    return logits;
  }

  /**
   * Reads one more token of each of the first texts, in one pass; returns their logits [ids.length,V], a view that the next
   * call overwrites. Those of a text have the same bits as when it is read alone.
   */
  step(ids: ArrayLike<number>): Float32Array {
    const { blockSize } = this.config;
    const B = ids.length;
    if (B === 0 || B > this.texts) throw new RangeError(`${B} tokens for ${this.texts} texts`);
    const { ints } = this.#backend;
    for (let text = 0; text < B; text++) {
      const before = this.#lengths[text];
      if (before === blockSize) throw new RangeError(`text ${text} fills its block of ${blockSize} already`);
      ints[this.#ids.offset + text] = ids[text];
      ints[this.#positions.offset + text] = before;
    }
    const pass = (this.#steps[B] ??= this.#record(B, 1, 0));
    pass.loaded.submit();
    const logits = this.#logits(pass);
    for (let text = 0; text < B; text++) this.#lengths[text]++;
    return logits;
  }

  /**
   * Makes one text have read what another has.
   *
   * @param start from this position on; before it the two are alike already
   */
  copy(from: number, to: number, start = 0): void {
    const { blockSize } = this.config;
    const { heads, headSize: D } = this.#architecture.cache(this.config);
    const floats = this.#backend.floats;
    const length = this.#lengths[from];
    for (const { keys, values } of this.#caches)
      for (const { offset } of [keys, values])
        for (let h = 0; h < heads; h++) {
          const source = offset + (from * heads + h) * blockSize * D;
          const target = offset + (to * heads + h) * blockSize * D;
          floats.copyWithin(target + start * D, source + start * D, source + length * D);
        }
    this.#lengths[to] = length;
  }

  #logits(pass: Pass): Float32Array {
    const { floats } = this.#backend;
    // Memory that grows is another buffer.
    if (pass.logits.buffer !== floats.buffer)
      pass.logits = floats.subarray(pass.offset, pass.offset + pass.logits.length) as Float32Array;
    return pass.logits;
  }

  /** A pass over T tokens of each of B texts, the first of which has cache number `first`. */
  #record(B: number, T: number, first: number): Pass {
    const { config } = this;
    const { blockSize, vocabSize: V } = config;
    const { heads, headSize } = this.#architecture.cache(config);
    const t = createTape();
    const { lookup } = parameterValues(t, this.#model);
    const cacheShape = [B, heads, blockSize, headSize];
    const place = ({ offset, dtype }: Region): Region => ({
      offset: offset + first * heads * blockSize * headSize,
      length: B * heads * blockSize * headSize,
      dtype,
    });
    const { hidden } = this.#architecture.forward(t, config, lookup, {
      ids: t.external('ids', [B, T], this.#ids),
      positions: t.external('positions', [B, T], this.#positions),
      rng: t.external('rng', [4], this.#rng),
      dropout: 0,
      transposed: this.#model.transposed,
      caches: this.#caches.map(({ keys, values }, l) => ({
        keys: t.external(`h.${l}.keys`, cacheShape, place(keys)),
        values: t.external(`h.${l}.values`, cacheShape, place(values)),
      })),
    }); // [B,T,C]
    // The head is the largest matrix of a small model; only the last position needs it.
    const last = T === 1 ? hidden : t.embedding(t.external('last', [1], this.#last), hidden);
    const logits = this.#architecture.head(t, config, lookup, last);
    const program = plan(t.nodes, this.#arena, [logits]);
    this.#backend.reserve(program.end);
    const { offset } = program.buffer(logits);
    return {
      loaded: this.#backend.load(program.instructions),
      instructions: program.instructions.length,
      seconds: undefined,
      offset,
      logits: new Float32Array(B * V),
    };
  }
}
