import { stepOf, type Batch, type StepData } from '../data/batches.ts';
import type { Backend, Loaded, Timing } from '../engine/device.ts';
import type { Buffer, Instruction } from '../engine/instruction.ts';
import { seedKey } from '../engine/philox.ts';
import { runInParts } from '../engine/run-in-parts.ts';
import { allParts, type InParts } from '../polling.ts';
import { noReport, type Report } from '../reporting.ts';
import { signatures, WRITE_ROLES, type Role } from '../engine/signatures.ts';
import { initialise } from '../model/initialise.ts';
import { tensorsOf, within, type NamedTensor } from '../model/placement.ts';
import { GradientSum } from './gradient-sum.ts';
import { writeHyper, type OptimizerOptions } from './optimizer.ts';
import { OrderedSum } from './ordered-sum.ts';
import type { BatchMemory, TrainingPrograms } from './programs.ts';

export interface StepResult {
  /** Mean loss of the step's counted targets in nats, before the update; NaN if there are none. */
  readonly loss: number;
  /** Global norm of the gradient, before clipping. */
  readonly gradNorm: number;
}

/** How many micro-batches and counted targets a step has: at least 1 of each. */
type StepSize = Pick<StepData, 'microBatches' | 'counted'>;

/** A step of masked targets only: there is nothing to learn from. */
export const NOTHING_COUNTED: StepResult = { loss: NaN, gradNorm: 0 };

/** The mean loss of a step's counted targets, of sums of its micro-batches. In float32, as metrics.jsonl has always had it. */
export const stepLoss = (losses: OrderedSum, { counted }: StepSize): number =>
  Math.fround(losses.total / counted);

/** A model in the engine's memory together with what it takes to improve it by one step. */
export class Trainer {
  readonly programs: TrainingPrograms;
  readonly #backend: Backend;
  readonly #options: OptimizerOptions;
  readonly #seed: number;
  readonly #forwardBackward: Loaded;
  readonly #gradientSum: GradientSum;
  readonly #gradientNorm: Loaded;
  readonly #update: Loaded;
  readonly #evaluate: Loaded;

  /**
   * Reserves memory, loads the programs and initializes the parameters from `seed`.
   *
   * @param report told how far the initialization has come; for GPT-2 124M it takes seconds
   */
  constructor(
    backend: Backend,
    programs: TrainingPrograms,
    options: OptimizerOptions,
    seed: number,
    report: Report = noReport,
  ) {
    this.programs = programs;
    this.#backend = backend;
    this.#options = options;
    this.#seed = seed;
    backend.reserve(programs.end);
    this.#forwardBackward = backend.load(programs.forwardBackward.instructions);
    this.#gradientSum = new GradientSum(backend, programs.gradientSum);
    this.#gradientNorm = backend.load(programs.gradientNorm.instructions);
    this.#update = backend.load(programs.update.instructions);
    this.#evaluate = backend.load(programs.evaluate.instructions);
    this.reset(report);
    for (const { positions, T } of [programs.batch, programs.evaluationBatch])
      this.#ints(positions).forEach((_, i, ints) => (ints[i] = i % T));
  }

  /** Back to the start: initial parameters, moments of 0. */
  reset(report: Report = noReport): void {
    const { model, moments } = this.programs;
    const entries = new Map(model.block.parameters.map((entry) => [entry.parameter.name, entry]));
    const total = model.block.parameters.reduce((sum, { length }) => sum + length, 0);
    initialise(
      model.config,
      this.#seed,
      (name) => this.#floats(within(model.region, entries.get(name)!)),
      (done) => report('initializing the parameters', done / total),
    );
    for (const { region } of moments) this.#floats(region).fill(0);
  }

  /**
   * One optimizer step: forward and backward over each micro-batch, the sum of their gradients, the update. Without a
   * counted target there is no update, so that momentum and weight decay change nothing.
   *
   * @param step counted from 0; with the seed it fixes every random number of the step
   */
  step(step: number, batches: readonly Batch[], learningRate: number): StepResult {
    const data = stepOf(batches);
    if (data.counted === 0) return NOTHING_COUNTED;
    const losses = new OrderedSum(data.microBatches);
    for (const [micro, batch] of batches.entries()) losses.add(this.accumulate(step, micro, data, batch));
    const gradNorm = this.gradNorm();
    this.update(step, learningRate);
    return { loss: stepLoss(losses, data), gradNorm };
  }

  /**
   * Forward and backward over one micro-batch, whose gradient is added to those of the micro-batches before it. They are
   * given in order, from 0; after the last one, `gradients` are those of the step.
   *
   * @param micro which micro-batch of the step it is, counted from 0
   * @returns the sum of the losses of its counted targets, in nats
   */
  accumulate(step: number, micro: number, data: StepSize, batch: Batch): number {
    return allParts(this.accumulating(step, micro, data, batch, 0));
  }

  /**
   * The same in parts. Given up, the gradients are incomplete; parameters and moments are as before.
   *
   * @param seconds how long it is expected to take; undefined: not known yet
   */
  *accumulating(
    step: number,
    micro: number,
    data: StepSize,
    batch: Batch,
    seconds: number | undefined,
  ): InParts<number> {
    const loss = yield* this.differentiating(step, micro, data.counted, batch, seconds);
    this.#gradientSum.add(micro, data.microBatches);
    return loss;
  }

  /**
   * Forward and backward over one micro-batch alone, in parts: `gradients` are then its own, of the sum of its losses over
   * the counted targets of the whole step. They do not depend on what other micro-batches there are.
   *
   * @returns as `accumulate`
   */
  *differentiating(
    step: number,
    micro: number,
    counted: number,
    batch: Batch,
    seconds: number | undefined,
  ): InParts<number> {
    this.#prepare(step, micro, counted, batch);
    yield* runInParts(this.#forwardBackward, this.programs.forwardBackward.instructions.length, seconds);
    return this.#addCounted(batch, this.programs.trainingLosses, { sum: 0, count: 0 }).sum;
  }

  /** The global norm of the gradients, before clipping; the update needs it too. */
  gradNorm(): number {
    this.#gradientNorm.submit();
    return this.#floats(this.programs.norm)[0];
  }

  /** Takes the step that the gradients and their norm call for. @param updates how many were taken before */
  update(updates: number, learningRate: number): void {
    writeHyper(this.#floats(this.programs.hyper), this.#options, updates + 1, learningRate);
    this.#update.submit();
  }

  /**
   * Looks for where a step goes wrong: in the parameters, or else by running its passes again, instruction by instruction.
   * In parts, since it takes longer than the step itself. If abandoned, only the gradients have changed.
   *
   * @returns in words, the first tensor that holds something infinite or NaN; if none does, the one with the largest gradient
   */
  *findingFault(step: number, { counted, microBatches, batches }: StepData): InParts<string> {
    for (const { name, data } of this.parameters()) {
      if (!isFiniteArray(data)) return `${name} is not finite`;
      yield;
    }
    let micro = 0;
    for (const batch of batches) {
      this.#prepare(step, micro, counted, batch);
      for (const [i, instruction] of this.programs.forwardBackward.instructions.entries()) {
        this.#forwardBackward.submit(i, i + 1);
        if (!writtenBy(instruction).every((buffer) => isFiniteArray(this.#floats(buffer))))
          return `what ${instruction.label} (${instruction.kernel}) computes is not finite`;
        yield;
      }
      this.#gradientSum.add(micro++, microBatches);
    }
    const norms = this.gradients().map(({ name, data }) => ({ name, norm: norm(data) }));
    return `all is finite; ${norms.reduce((a, b) => (b.norm > a.norm ? b : a)).name} has the largest gradient`;
  }

  /**
   * The mean loss of the counted targets of batches of `evaluationBatch`'s shape, in nats per token; NaN if there are none.
   * Summed in float64, in order.
   */
  evaluate(batches: Iterable<Batch>): number {
    const total = { sum: 0, count: 0 };
    for (const batch of batches) this.addLosses(batch, total);
    return total.sum / total.count;
  }

  /** Adds the losses of a batch's counted targets, in nats, and their number. */
  addLosses(batch: Batch, total: { sum: number; count: number }): void {
    allParts(this.addingLosses(batch, total, 0));
  }

  /** The same in parts. @param seconds how long it is expected to take; undefined: not known yet */
  *addingLosses(
    batch: Batch,
    total: { sum: number; count: number },
    seconds: number | undefined,
  ): InParts<void> {
    this.#fill(batch, this.programs.evaluationBatch);
    yield* runInParts(this.#evaluate, this.programs.evaluate.instructions.length, seconds);
    this.#addCounted(batch, this.programs.losses, total);
  }

  /** All parameters, the fixed ones included, as views of memory. */
  parameters(): NamedTensor[] {
    const { block, region } = this.programs.model;
    return tensorsOf(block, region, this.#backend.floats as Float32Array);
  }

  /** The gradients of the last step, as views of memory. */
  gradients(): NamedTensor[] {
    const { model, gradients } = this.programs;
    return tensorsOf(model.block, gradients, this.#backend.floats as Float32Array, { trainedOnly: true });
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
  async timings(): Promise<Timing[]> {
    const programs = [this.#forwardBackward, this.#gradientSum.loaded, this.#gradientNorm, this.#update];
    const timings: Timing[] = [];
    for (const program of programs) timings.push(...((await program.timings?.()) ?? []));
    return timings;
  }

  #prepare(step: number, micro: number, counted: number, batch: Batch): void {
    this.#floats(this.programs.dLosses).fill(1 / counted);
    this.#fill(batch, this.programs.batch);
    this.#ints(this.programs.batch.rng).set([...seedKey(this.#seed), step, micro]);
  }

  /** Adds up those of the losses at `offset` whose targets count; masked ones are 0 there. */
  #addCounted({ targets }: Batch, offset: number, total: { sum: number; count: number }): typeof total {
    for (let i = 0; i < targets.length; i++) {
      if (targets[i] < 0) continue;
      total.sum += this.#backend.floats[offset + i];
      total.count++;
    }
    return total;
  }

  #fill({ inputs, targets }: Batch, memory: BatchMemory): void {
    this.#ints(memory.ids).set(inputs);
    this.#ints(memory.targets).set(targets);
  }

  #floats({ offset, length }: Buffer): Float32Array | Float64Array {
    return this.#backend.floats.subarray(offset, offset + length);
  }

  #ints({ offset, length }: Buffer): Int32Array {
    return this.#backend.ints.subarray(offset, offset + length);
  }
}

/** The buffers that an instruction changes. */
function writtenBy({ kernel, args }: Instruction): Buffer[] {
  const buffers = args as Readonly<Record<string, Buffer | number | null>>;
  return Object.entries<Role>(signatures[kernel]).flatMap(([name, role]) => {
    const buffer = buffers[name];
    return WRITE_ROLES.has(role) && typeof buffer === 'object' && buffer !== null ? [buffer] : [];
  });
}

const isFiniteArray = (data: Float32Array | Float64Array): boolean => data.every((x) => Number.isFinite(x));
const norm = (data: Float32Array): number => Math.sqrt(data.reduce((sum, x) => sum + x * x, 0));
