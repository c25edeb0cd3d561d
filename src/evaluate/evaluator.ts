import type { Value } from '../autodiff/graph.ts';
import { plan } from '../autodiff/plan.ts';
import type { Batch, BatchShape } from '../data/batches.ts';
import type { Device, Loaded } from '../engine/device.ts';
import { Layout } from '../engine/memory.ts';
import type { ModelConfig } from '../model/config.ts';
import { placeModel, tensorsOf, type PlacedModel, type StorageOf } from '../model/placement.ts';
import type { TensorTarget } from '../model/tensor.ts';
import { asStored, transposingTargets } from '../model/transposition.ts';
import { writeBatch, writePositions } from '../train/evaluation-pass.ts';
import { placeBatch, recordLoss, type BatchMemory } from '../train/programs.ts';

export interface EvaluatorOptions {
  readonly storageOf?: StorageOf | undefined;
  readonly hasDocuments?: boolean | undefined;
}

/** A trained model on a device that computes the loss of each token. It has no gradients and no optimizer. */
export class Evaluator {
  readonly config: ModelConfig;
  /** Shape of its batches. */
  readonly batch: BatchMemory;
  readonly #device: Device;
  readonly #model: PlacedModel;
  readonly #program: Loaded;
  readonly #losses: Result;
  readonly #ranks: Result;

  /**
   * Allocates a model for batches [B,T]. The caller then loads the weights to `targets()`.
   *
   * @param hasDocuments the rows of its batches are divided into documents
   */
  constructor(
    device: Device,
    config: ModelConfig,
    { B, T }: BatchShape,
    { storageOf, hasDocuments = false }: EvaluatorOptions = {},
  ) {
    this.config = config;
    this.#device = device;
    const layout = new Layout();
    this.#model = asStored(placeModel(config, layout, storageOf));
    this.batch = placeBatch(layout, B, T, hasDocuments);
    const { tape, logits, losses, targets } = recordLoss(this.#model, this.batch);
    const ranks = tape.local([B * T], 'ranks');
    tape.scope('rank', () =>
      tape.emit('targetRank', { logits, targets, ranks, N: B * T, V: config.vocabSize }),
    );
    const program = plan(tape.nodes, layout.end, [losses, ranks]);
    device.reserve(program.end);
    this.#program = device.load(program.instructions);
    const result = (value: Value): Result => ({
      offset: program.buffer(value).offset,
      numbers: new Float32Array(B * T),
    });
    this.#losses = result(losses);
    this.#ranks = result(ranks);
    writePositions(device, this.batch);
  }

  /** Targets for loading all parameters, one after another. */
  targets(): TensorTarget[] {
    return this.#model.transposed
      ? transposingTargets(this.#device, this.#model)
      : tensorsOf(this.#device, this.#model.block, this.#model.region);
  }

  /**
   * Loss in nats and rank of each target, both [B·T]. The rank is the number of tokens with a higher probability. Masked
   * targets have loss 0 and rank −1. The next call overwrites both arrays.
   */
  async score(batch: Batch): Promise<{ readonly losses: Float32Array; readonly ranks: Float32Array }> {
    writeBatch(this.#device, batch, this.batch);
    this.#program.submit();
    const [losses, ranks] = await Promise.all(
      [this.#losses, this.#ranks].map(({ offset, numbers }) => this.#device.read(offset, numbers)),
    );
    return { losses, ranks };
  }
}

/** Where a result is on the device, and the array into which it is copied after each run. */
interface Result {
  readonly offset: number;
  readonly numbers: Float32Array;
}
