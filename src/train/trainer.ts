import type { Backend, Loaded, Timing } from '../engine/instruction.ts';
import type { Region } from '../engine/memory.ts';
import { seedKey } from '../engine/philox.ts';
import { initialise } from '../model/initialise.ts';
import { tensorsOf, within, type NamedTensor } from '../model/placement.ts';
import { writeHyper, type OptimizerOptions } from './optimizer.ts';
import type { TrainingPrograms } from './programs.ts';

/** B·T token ids and the ids that follow them; a target of −1 is ignored. */
export interface Batch {
  readonly inputs: Int32Array;
  readonly targets: Int32Array;
}

export interface StepResult {
  /** Mean loss of the step's tokens in nats, before the update. */
  readonly loss: number;
  /** Global norm of the gradient, before clipping. */
  readonly gradNorm: number;
}

/** A model in the engine's memory together with what it takes to improve it by one step. */
export class Trainer {
  readonly programs: TrainingPrograms;
  readonly #backend: Backend;
  readonly #options: OptimizerOptions;
  readonly #seed: number;
  readonly #first: Loaded;
  readonly #adding: Loaded;
  readonly #optimizer: Loaded;
  readonly #evaluate: Loaded;

  /** Reserves memory, loads the programs and initialises the parameters from `seed`. */
  constructor(backend: Backend, programs: TrainingPrograms, options: OptimizerOptions, seed: number) {
    this.programs = programs;
    this.#backend = backend;
    this.#options = options;
    this.#seed = seed;
    backend.reserve(programs.end);
    const { model, batch } = programs;
    this.#first = backend.load(programs.forwardBackward.instructions);
    this.#adding =
      programs.forwardBackwardAdding === undefined
        ? this.#first
        : backend.load(programs.forwardBackwardAdding.instructions);
    this.#optimizer = backend.load(programs.optimizer.instructions);
    this.#evaluate = backend.load(programs.evaluate.instructions);

    const entries = new Map(model.block.parameters.map((entry) => [entry.parameter.name, entry]));
    initialise(model.config, seed, (name) => this.#floats(within(model.region, entries.get(name)!)));
    const positions = this.#ints(batch.positions);
    for (let i = 0; i < positions.length; i++) positions[i] = i % batch.T;
  }

  /**
   * One optimiser step: forward and backward over each micro-batch, gradients averaged, then the update.
   *
   * @param step counted from 0; with the seed it fixes every random number of the step
   */
  step(step: number, batches: readonly Batch[], learningRate: number): StepResult {
    const { programs } = this;
    this.#floats(programs.dLoss)[0] = 1 / batches.length;
    let loss = 0;
    batches.forEach((batch, micro) => {
      this.#fill(batch);
      this.#ints(programs.batch.rng).set([...seedKey(this.#seed), step, micro]);
      const program = micro === 0 ? programs.forwardBackward : programs.forwardBackwardAdding!;
      (micro === 0 ? this.#first : this.#adding).run();
      loss += this.#backend.floats[programs.loss(program)] / batches.length;
    });
    writeHyper(this.#floats(programs.hyper), this.#options, step + 1, learningRate);
    this.#optimizer.run();
    return { loss, gradNorm: this.#floats(programs.norm)[0] };
  }

  /** The mean loss over batches, in nats per token; the sum runs in float64, in order. */
  evaluate(batches: Iterable<Batch>): number {
    let sum = 0;
    let count = 0;
    for (const batch of batches) {
      this.#fill(batch);
      this.#evaluate.run();
      for (let i = 0; i < batch.targets.length; i++) {
        if (batch.targets[i] < 0) continue;
        sum += this.#backend.floats[this.programs.losses + i];
        count++;
      }
    }
    return sum / count;
  }

  /** All parameters, the fixed ones included, as views of memory. */
  parameters(): NamedTensor[] {
    const { block, region } = this.programs.model;
    return tensorsOf(block, region, this.#backend.floats as Float32Array);
  }

  /** The optimiser's moments as views of memory: names like `m.h.0.attn.c_attn.weight`. */
  moments(): NamedTensor[] {
    return this.programs.moments.flatMap(({ name, region }) =>
      tensorsOf(this.programs.model.block, region, this.#backend.floats as Float32Array, {
        trainedOnly: true,
      }).map((tensor) => ({ ...tensor, name: `${name}.${tensor.name}` })),
    );
  }

  /** What the instructions of the steps so far have taken; none if the backend does not measure it. */
  timings(): Timing[] {
    const programs = new Set([this.#first, this.#adding, this.#optimizer]);
    return [...programs].flatMap((program) => program.timings?.() ?? []);
  }

  #fill(batch: Batch): void {
    this.#ints(this.programs.batch.ids).set(batch.inputs);
    this.#ints(this.programs.batch.targets).set(batch.targets);
  }

  #floats({ offset, length }: Region): Float32Array | Float64Array {
    return this.#backend.floats.subarray(offset, offset + length);
  }

  #ints({ offset, length }: Region): Int32Array {
    return this.#backend.ints.subarray(offset, offset + length);
  }
}
