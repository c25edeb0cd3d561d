import { type ModelFolder } from '../checkpoint/model-folder.ts';
import { openModelFolder } from '../checkpoint/open-model.ts';
import { newestRun, resolveRun } from '../checkpoint/runs.ts';
import { chooseBackend } from '../engine/backend.ts';
import type { Device } from '../engine/device.ts';
import { Decoder } from '../generate/decoder.ts';
import { inQ8 } from '../model/q8-weights.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

export interface LoadOptions {
  /** 1 … 64; default: the cores available to this process. Results do not depend on it. */
  readonly threads?: number;
  /** How weights are held in memory: as stored in the file (default), or in 8 bits. */
  readonly weights?: 'stored' | 'q8';
}

/** A loaded model. Close it to free its threads and memory. */
export class Model implements AsyncDisposable {
  /** Its folder on disk, validated. */
  readonly source: ModelFolder;
  readonly #options: LoadOptions;
  readonly #backends: Device[] = [];
  readonly #idle: Decoder[] = [];
  #closed = false;

  private constructor(source: ModelFolder, options: LoadOptions) {
    this.source = source;
    this.#options = options;
  }

  /** See `load`. */
  static async open(folder: string, options: LoadOptions): Promise<Model> {
    const source = openModelFolder(folder);
    const { storageOf } = source;
    const model = new Model(
      options.weights === 'q8' ? { ...source, storageOf: inQ8(storageOf) } : source,
      options,
    );
    try {
      model.giveBack(await model.borrow());
    } catch (error) {
      await model.close(); // its threads
      throw error;
    }
    return model;
  }

  /** Layers, heads, channels, context length, vocabulary size. */
  get config(): ModelConfig {
    return this.source.config;
  }

  /** Encodes and decodes text. */
  get tokenizer(): Tokenizer {
    return this.source.tokenizer;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Starts an engine with this model's options. The caller closes it. */
  async startBackend(): Promise<Device> {
    if (this.#closed) throw new Error(`the model ${this.source.folder} is closed`);
    return (await chooseBackend(this.#options)).backend;
  }

  /** A decoder with its own KV cache, so concurrent calls need one each. */
  async borrow(): Promise<Decoder> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const backend = await this.startBackend();
    this.#backends.push(backend);
    const { config, source } = this;
    return Decoder.create(backend, config, (tensors) => source.load(tensors), 1, source.storageOf);
  }

  giveBack(decoder: Decoder): void {
    if (!this.#closed) this.#idle.push(decoder);
  }

  /** Ends its threads and frees its memory. Sampling in progress fails. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#idle.length = 0;
    await Promise.all(this.#backends.splice(0).map((backend) => backend.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Loads a trained model: a run of `train`, a checkpoint, or a Hugging Face folder of a GPT-2, Llama or Qwen3.
 *
 * @param folder path, or name of a run under `checkpoints/` in the current folder; default: the newest run there
 * @throws UserError naming the file that is missing, damaged, or inconsistent with the others
 */
export const load = (folder: string = newestRun(), options: LoadOptions = {}): Promise<Model> =>
  Model.open(resolveRun(folder), options);
