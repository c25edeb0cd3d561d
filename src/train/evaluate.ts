import { plan } from '../autodiff/plan.ts';
import type { Backend, Loaded } from '../engine/instruction.ts';
import { Layout } from '../engine/memory.ts';
import type { ModelConfig } from '../model/config.ts';
import { placeModel, tensorsOf, type NamedTensor, type PlacedModel } from '../model/placement.ts';
import { placeBatch, recordLoss, type BatchMemory } from './programs.ts';
import type { Batch } from './trainer.ts';

/** A trained model in engine memory that says what each token of a text costs. Needs no gradients and no optimiser. */
export class Evaluator {
  readonly config: ModelConfig;
  /** The shape of the batches it takes. */
  readonly batch: BatchMemory;
  readonly #backend: Backend;
  readonly #model: PlacedModel;
  readonly #program: Loaded;
  readonly #losses: number;

  /** Lays out a model of this shape for batches of B sequences of T tokens; the caller then writes `parameters()`. */
  constructor(backend: Backend, config: ModelConfig, B: number, T: number) {
    this.config = config;
    this.#backend = backend;
    const layout = new Layout();
    this.#model = placeModel(config, layout);
    this.batch = placeBatch(layout, B, T);
    const { tape, losses } = recordLoss(this.#model, this.batch, 0);
    const program = plan(tape.nodes, layout.end, [losses]);
    backend.reserve(program.end);
    this.#program = backend.load(program.instructions);
    this.#losses = program.buffer(losses).offset;
    for (let i = 0; i < B * T; i++) backend.ints[this.batch.positions.offset + i] = i % T;
  }

  /** All parameters, as views of memory: write a trained model's here. */
  parameters(): NamedTensor[] {
    return tensorsOf(this.#model.block, this.#model.region, this.#backend.floats as Float32Array);
  }

  /** The cost of each target in nats, 0 where it is ignored: a view [B·T] that the next call overwrites. */
  losses({ inputs, targets }: Batch): Float32Array {
    this.#backend.ints.set(inputs, this.batch.ids.offset);
    this.#backend.ints.set(targets, this.batch.targets.offset);
    this.#program.run();
    const { B, T } = this.batch;
    return this.#backend.floats.subarray(this.#losses, this.#losses + B * T) as Float32Array;
  }
}
