import { plan } from '../autodiff/plan.ts';
import { createTape } from '../autodiff/tape.ts';
import type { Backend, Loaded } from '../engine/instruction.ts';
import { Layout, type Region } from '../engine/memory.ts';
import type { ModelConfig } from '../model/config.ts';
import { gpt, head } from '../model/gpt.ts';
import {
  parameterValues,
  placeModel,
  tensorsOf,
  transposeWeights,
  type NamedTensor,
  type PlacedModel,
} from '../model/placement.ts';

/** A recorded pass over `length` new tokens. */
interface Pass {
  readonly loaded: Loaded;
  /** Where the logits of the last token are. */
  readonly logits: number;
}

/**
 * A model that reads tokens and says what it expects next. Keys and values of what it has read stay in a cache, so each
 * token is computed once; any number of new tokens goes through the model in one pass.
 */
export class Decoder {
  readonly config: ModelConfig;
  readonly #backend: Backend;
  readonly #model: PlacedModel;
  readonly #caches: readonly { readonly keys: Region; readonly values: Region }[];
  readonly #ids: Region;
  readonly #positions: Region;
  readonly #rng: Region;
  readonly #last: Region;
  readonly #arena: number;
  readonly #passes = new Map<number, Pass>();
  #length = 0;

  /**
   * @param model parameters that are in the backend's memory already, those of a model in training for one
   * @param layout where memory is free
   */
  constructor(backend: Backend, model: PlacedModel, layout: Layout) {
    const { config } = model;
    this.config = config;
    this.#backend = backend;
    this.#model = model;
    const cache = () => layout.allocate(config.blockSize * config.nEmbd);
    this.#caches = Array.from({ length: config.nLayer }, () => ({ keys: cache(), values: cache() }));
    this.#ids = layout.allocate(config.blockSize, 'i32');
    this.#positions = layout.allocate(config.blockSize, 'i32');
    this.#rng = layout.allocate(4, 'i32');
    this.#last = layout.allocate(1, 'i32');
    this.#arena = layout.end;
    backend.reserve(layout.end);
  }

  /**
   * A decoder with a model of its own at the start of memory, laid out for speed.
   *
   * @param write writes all parameters, handed to it as views of memory
   */
  static create(backend: Backend, config: ModelConfig, write: (tensors: NamedTensor[]) => void): Decoder {
    const layout = new Layout();
    const model = placeModel(config, layout);
    backend.reserve(layout.end);
    const floats = backend.floats as Float32Array;
    write(tensorsOf(model.block, model.region, floats));
    return new Decoder(backend, transposeWeights(model, floats), layout);
  }

  /** How many tokens have been read; at most the model's block size. */
  get length(): number {
    return this.#length;
  }

  /** Forgets what was read. */
  reset(): void {
    this.#length = 0;
  }

  /**
   * Reads tokens after those read before; returns the logits [V] of what comes next, a view that the next call overwrites.
   * All of them together must fit in the block size.
   */
  read(ids: ArrayLike<number>): Float32Array {
    const { blockSize, vocabSize } = this.config;
    const T = ids.length;
    if (T === 0 || this.#length + T > blockSize)
      throw new RangeError(`${T} tokens after ${this.#length} do not fit a block of ${blockSize}`);
    const pass = this.#passes.get(T) ?? this.#record(T);
    const { ints, floats } = this.#backend;
    for (let t = 0; t < T; t++) {
      ints[this.#ids.offset + t] = ids[t];
      ints[this.#positions.offset + t] = this.#length + t;
    }
    ints[this.#last.offset] = T - 1;
    pass.loaded.run();
    this.#length += T;
    return floats.subarray(pass.logits, pass.logits + vocabSize) as Float32Array;
  }

  #record(T: number): Pass {
    const { config } = this;
    const { blockSize, nEmbd: C, nHead: H } = config;
    const t = createTape();
    const { lookup } = parameterValues(t, this.#model);
    const cacheShape = [1, H, blockSize, C / H];
    const hidden = gpt(t, config, lookup, {
      ids: t.external('ids', [1, T], this.#ids),
      positions: t.external('positions', [1, T], this.#positions),
      rng: t.external('rng', [4], this.#rng),
      dropout: 0,
      transposed: this.#model.transposed,
      caches: this.#caches.map(({ keys, values }, l) => ({
        keys: t.external(`h.${l}.keys`, cacheShape, keys),
        values: t.external(`h.${l}.values`, cacheShape, values),
      })),
    }); // [1,T,C]
    // The head is the largest matrix of a small model; only the last position needs it.
    const last = T === 1 ? hidden : t.embedding(t.external('last', [1], this.#last), hidden);
    const logits = head(t, lookup, last);
    const program = plan(t.nodes, this.#arena, [logits]);
    this.#backend.reserve(program.end);
    const pass = {
      loaded: this.#backend.load(program.instructions),
      logits: program.buffer(logits).offset,
    };
    this.#passes.set(T, pass);
    return pass;
  }
}
