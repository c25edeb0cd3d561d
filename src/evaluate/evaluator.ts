import { plan } from '../autodiff/plan.ts';
import type { Batch } from '../data/batches.ts';
import type { Backend, Loaded } from '../engine/device.ts';
import { Layout } from '../engine/memory.ts';
import type { ModelConfig } from '../model/config.ts';
import { placeModel, tensorsOf, type NamedTensor, type PlacedModel } from '../model/placement.ts';
import { placeBatch, recordLoss, type BatchMemory } from '../train/programs.ts';

/** A trained model in engine memory that computes the loss of each token. It has no gradients and no optimizer. */
export class Evaluator {
  readonly config: ModelConfig;
  /** Shape of its batches. */
  readonly batch: BatchMemory;
  readonly #backend: Backend;
  readonly #model: PlacedModel;
  readonly #program: Loaded;
  readonly #losses: number;
  readonly #ranks: number;

  /** Allocates a model for batches [B,T]. The caller then writes the weights to `parameters()`. */
  constructor(backend: Backend, config: ModelConfig, B: number, T: number) {
    this.config = config;
    this.#backend = backend;
    const layout = new Layout();
    this.#model = placeModel(config, layout);
    this.batch = placeBatch(layout, B, T);
    const { tape, logits, losses, targets } = recordLoss(this.#model, this.batch, 0);
    const ranks = tape.local([B * T], 'ranks');
    tape.scope('rank', () =>
      tape.emit('targetRank', { logits, targets, ranks, N: B * T, V: config.vocabSize }),
    );
    const program = plan(tape.nodes, layout.end, [losses, ranks]);
    backend.reserve(program.end);
    this.#program = backend.load(program.instructions);
    this.#losses = program.buffer(losses).offset;
    this.#ranks = program.buffer(ranks).offset;
    for (let i = 0; i < B * T; i++) backend.ints[this.batch.positions.offset + i] = i % T;
  }

  /** All parameters, as views of engine memory to write weights to. */
  parameters(): NamedTensor[] {
    return tensorsOf(this.#model.block, this.#model.region, this.#backend.floats as Float32Array);
  }

  /**
   * Loss in nats and rank of each target, both [B·T]. The rank is the number of tokens with a higher probability. Masked
   * targets have loss 0 and rank −1. Both are views that the next call overwrites.
   */
  score({ inputs, targets }: Batch): { readonly losses: Float32Array; readonly ranks: Float32Array } {
    this.#backend.ints.set(inputs, this.batch.ids.offset);
    this.#backend.ints.set(targets, this.batch.targets.offset);
    this.#program.submit();
    const { B, T } = this.batch;
    const view = (offset: number) => this.#backend.floats.subarray(offset, offset + B * T) as Float32Array;
    return { losses: view(this.#losses), ranks: view(this.#ranks) };
  }
}
