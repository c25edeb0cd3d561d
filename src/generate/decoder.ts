import { plan } from '../autodiff/plan.ts';
import { createTape } from '../autodiff/tape.ts';
import type { Device, Loaded } from '../engine/device.ts';
import { runInParts } from '../engine/run-in-parts.ts';
import { Layout, type Region } from '../engine/memory.ts';
import { GEMV_ROWS } from '../engine/signatures.ts';
import type { Architecture } from '../model/architecture.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { parameterTable } from '../model/parameters.ts';
import { parameterValues, placeModel, type PlacedModel, type StorageOf } from '../model/placement.ts';
import type { TensorTarget } from '../model/tensor.ts';
import { transposed, transposingTargets } from '../model/transposition.ts';
import { allParts, SIGNAL_POLL_SECONDS, type InParts } from '../polling.ts';

/** A recorded forward pass. */
interface Pass {
  readonly loaded: Loaded;
  readonly instructions: number;
  /** Duration of the last run, pauses included; undefined: not known yet. */
  seconds: number | undefined;
  /** Host copies of the inputs, [B,T]. */
  readonly ids: Int32Array;
  readonly positions: Int32Array;
  /** Device memory of the logits of each text's last token, and the array that each run copies them to. */
  readonly offset: number;
  readonly logits: Float32Array;
}

/** Maximum batch size: with more rows, GEMM sums in another order, and bits would depend on the batch. */
export const MAX_TEXTS = GEMV_ROWS;

/** Memory limit for the KV caches of all texts together. */
const CACHE_BYTES = 2 ** 30;

/** The batch size for a decoder of this model, at most `wanted`. */
export function textsAtOnce(config: ModelConfig, wanted: number): number {
  const bytes = cacheBytes(config) * decodedContext(config);
  return Math.max(1, Math.min(wanted, MAX_TEXTS, Math.floor(CACHE_BYTES / bytes) - 1));
}

/** Bytes of KV cache per position. */
function cacheBytes(config: ModelConfig): number {
  const { heads, headSize } = architectureOf(config).cache(config);
  return 4 * 2 * config.nLayer * heads * headSize;
}

/**
 * The context length of a decoder: the model's, or as much of it as a KV cache of CACHE_BYTES holds. Models with a table of
 * positions have short contexts, and keep theirs.
 */
export function decodedContext(config: ModelConfig): number {
  if (parameterTable(config).some(({ role }) => role === 'position embedding')) return config.blockSize;
  const fitting = Math.floor(CACHE_BYTES / cacheBytes(config) / READ_STEP) * READ_STEP;
  return Math.min(config.blockSize, Math.max(READ_STEP, fitting));
}

/** Prefill lengths are rounded up to a multiple of this, so that prompts of any length need few recorded passes. */
const READ_STEP = 16;

/**
 * A model for decoding one text or several. Each text has a KV cache, so each token is computed once: a prefill processes
 * any number of tokens of one text, a decode step one token of each text.
 */
export class Decoder {
  readonly config: ModelConfig;
  readonly texts: number;
  readonly #device: Device;
  readonly #architecture: Architecture;
  readonly #model: PlacedModel;
  readonly #caches: readonly { readonly keys: Region; readonly values: Region }[];
  readonly #ids: Region;
  readonly #positions: Region;
  readonly #rng: Region;
  readonly #last: Region;
  readonly #arena: number;
  /** The cache for prefills: that of the only text, or an additional one besides those of several texts. */
  readonly #scratchCache: number;
  readonly #reads = new Map<number, Pass>();
  readonly #steps: Pass[] = [];
  /** Number of tokens in each cache. */
  readonly #lengths: Uint32Array;

  /**
   * @param model parameters already on the device, such as those of a model in training
   * @param layout where memory is free
   * @param texts decoded as a batch, at most MAX_TEXTS
   */
  constructor(device: Device, model: PlacedModel, layout: Layout, texts = 1) {
    const { config } = model;
    if (texts < 1 || texts > MAX_TEXTS)
      throw new RangeError(`a decoder holds 1 to ${MAX_TEXTS} texts, not ${texts}`);
    if (texts > 1 && !model.transposed)
      throw new Error('decoding several texts needs a model loaded with transposed weights');
    this.config = config;
    this.texts = texts;
    this.#device = device;
    this.#model = model;
    this.#scratchCache = texts === 1 ? 0 : texts;
    this.#architecture = architectureOf(config);
    const { heads, headSize } = this.#architecture.cache(config);
    const cache = () => layout.allocate((this.#scratchCache + 1) * heads * config.blockSize * headSize);
    this.#caches = Array.from({ length: config.nLayer }, () => ({ keys: cache(), values: cache() }));
    const tokens = Math.max(config.blockSize, texts);
    this.#ids = layout.allocate(tokens, 'i32');
    this.#positions = layout.allocate(tokens, 'i32');
    this.#rng = layout.allocate(4, 'i32');
    this.#last = layout.allocate(1, 'i32');
    this.#arena = layout.end;
    this.#lengths = new Uint32Array(this.#scratchCache + 1);
    device.reserve(layout.end);
  }

  /**
   * A decoder with its own copy of a model at the start of memory, laid out for speed. Its context length is that of
   * `decodedContext`.
   *
   * @param load loads all parameters, one after another
   * @param storageOf that of the folder they are loaded from; default: float32
   */
  static create(
    device: Device,
    config: ModelConfig,
    load: (targets: TensorTarget[]) => void,
    texts = 1,
    storageOf?: StorageOf,
  ): Decoder {
    const layout = new Layout();
    const model = placeModel({ ...config, blockSize: decodedContext(config) }, layout, storageOf);
    const decoder = new Decoder(device, transposed(model), layout, texts); // fails before loading if it needs too much memory
    load(transposingTargets(device, model));
    return decoder;
  }

  /** Tokens of the (first) text in the cache; at most the model's context length. */
  get length(): number {
    return this.lengthOf(0);
  }

  lengthOf(text: number): number {
    return this.#lengths[text];
  }

  /** Empties the KV cache of a text. */
  reset(text = 0): void {
    this.truncate(0, text);
  }

  /** Removes all but the first tokens of a text from its KV cache. */
  truncate(length: number, text = 0): void {
    if (length > this.#lengths[text])
      throw new RangeError(`the cache has ${this.#lengths[text]} tokens, fewer than ${length}`);
    this.#lengths[text] = length;
  }

  /**
   * Prefills further tokens of one text; resolves to the logits [V] of the next token, an array that the next call overwrites.
   * All tokens together must fit in the context length.
   */
  read(ids: ArrayLike<number>, text = 0): Promise<Float32Array> {
    return allParts(this.reading(ids, text));
  }

  /** `read` in parts of about SIGNAL_POLL_SECONDS: a long prompt may take seconds. If abandoned, it has no effect. */
  async *reading(ids: ArrayLike<number>, text = 0): InParts<Float32Array> {
    const { blockSize } = this.config;
    const before = this.#lengths[text];
    const count = ids.length;
    if (count === 0 || before + count > blockSize)
      throw new RangeError(`${count} tokens after ${before} exceed the context length of ${blockSize}`);
    if (text !== this.#scratchCache) this.copy(text, this.#scratchCache);
    // Padding after the last token: earlier tokens do not attend to it, and later tokens overwrite its keys and values first.
    const T = count === 1 ? 1 : Math.min(Math.ceil(count / READ_STEP) * READ_STEP, blockSize - before);
    let pass = this.#reads.get(T);
    if (pass === undefined) this.#reads.set(T, (pass = this.#record(1, T, this.#scratchCache)));
    for (let t = 0; t < T; t++) {
      pass.ids[t] = t < count ? ids[t] : 0;
      pass.positions[t] = before + t;
    }
    this.#device.write(this.#last.offset, Int32Array.of(count - 1));
    const logits = yield* this.#run(pass);
    this.#lengths[this.#scratchCache] = before + count;
    if (text !== this.#scratchCache) this.copy(this.#scratchCache, text, before);
    return logits;
  }

  /**
   * Decodes one more token of each of the first texts in one pass; resolves to their logits [ids.length,V], an array that the
   * next call overwrites. The logits of each text are bit-identical to those of decoding it alone.
   */
  async step(ids: ArrayLike<number>): Promise<Float32Array> {
    const pass = this.#fillStep(ids);
    const start = this.#begin(pass);
    pass.loaded.submit();
    const logits = await this.#end(pass, start);
    for (let text = 0; text < ids.length; text++) this.#lengths[text]++;
    return logits;
  }

  /** A step of this many texts takes less than SIGNAL_POLL_SECONDS, so it is not divided: generators cost a few µs. */
  isStepShort(texts: number): boolean {
    const seconds = this.#steps[texts]?.seconds;
    return seconds !== undefined && seconds < SIGNAL_POLL_SECONDS;
  }

  /** `step` in parts of about SIGNAL_POLL_SECONDS. If abandoned, it has no effect. */
  async *stepping(ids: ArrayLike<number>): InParts<Float32Array> {
    const logits = yield* this.#run(this.#fillStep(ids));
    for (let text = 0; text < ids.length; text++) this.#lengths[text]++;
    return logits;
  }

  /** The recorded pass of a step, with its ids and positions set. */
  #fillStep(ids: ArrayLike<number>): Pass {
    const { blockSize } = this.config;
    const B = ids.length;
    if (B === 0 || B > this.texts) throw new RangeError(`${B} tokens for ${this.texts} texts`);
    const pass = (this.#steps[B] ??= this.#record(B, 1, 0));
    for (let text = 0; text < B; text++) {
      const before = this.#lengths[text];
      if (before === blockSize)
        throw new RangeError(`text ${text} has already filled the context length of ${blockSize}`);
      pass.ids[text] = ids[text];
      pass.positions[text] = before;
    }
    return pass;
  }

  /** Runs a pass on its ids and positions, in parts; returns its logits. */
  async *#run(pass: Pass): InParts<Float32Array> {
    const start = this.#begin(pass);
    yield* runInParts(this.#device, pass.loaded, pass.instructions, pass.seconds);
    return this.#end(pass, start);
  }

  /** Writes ids and positions to the device; returns the time, in milliseconds. */
  #begin(pass: Pass): number {
    this.#device.write(this.#ids.offset, pass.ids);
    this.#device.write(this.#positions.offset, pass.positions);
    return performance.now();
  }

  /** Resolves to the logits of a submitted pass. @param start as returned by `#begin` */
  async #end(pass: Pass, start: number): Promise<Float32Array> {
    const logits = await this.#device.read(pass.offset, pass.logits);
    pass.seconds = (performance.now() - start) / 1000;
    return logits;
  }

  /**
   * Copies the KV cache of one text to another.
   *
   * @param start first position to copy; up to it the two are equal
   */
  copy(from: number, to: number, start = 0): void {
    const { blockSize } = this.config;
    const { heads, headSize: D } = this.#architecture.cache(this.config);
    const length = this.#lengths[from];
    for (const { keys, values } of this.#caches)
      for (const { offset } of [keys, values])
        for (let h = 0; h < heads; h++) {
          const source = offset + (from * heads + h) * blockSize * D;
          const target = offset + (to * heads + h) * blockSize * D;
          if (length > start) this.#device.copy(source + start * D, target + start * D, (length - start) * D);
        }
    this.#lengths[to] = length;
  }

  /** Records a pass over T tokens of each of B texts, the first of which uses cache `first`. */
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
    // The head, the largest matrix of a small model, is applied to the last position only.
    const last = T === 1 ? hidden : t.embedding(t.external('last', [1], this.#last), hidden);
    const logits = this.#architecture.head(t, config, lookup, last);
    const program = plan(t.nodes, this.#arena, [logits]);
    this.#device.reserve(program.end);
    return {
      loaded: this.#device.load(program.instructions),
      instructions: program.instructions.length,
      seconds: undefined,
      ids: new Int32Array(B * T),
      positions: new Int32Array(B * T),
      offset: program.buffer(logits).offset,
      logits: new Float32Array(B * V),
    };
  }
}
