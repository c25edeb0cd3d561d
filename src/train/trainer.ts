/** The optimizer step: forward and backward pass of each micro-batch, the sum of their gradients, the update. */
import { stepOf, type Batch, type StepData } from '../data/batches.ts';
import type { Device, Loaded, Timing } from '../engine/device.ts';
import type { Buffer } from '../engine/instruction.ts';
import { seedKey } from '../engine/philox.ts';
import { runInParts } from '../engine/run-in-parts.ts';
import { allParts, type InParts } from '../polling.ts';
import { noReport, type Report } from '../reporting.ts';
import { HYPER } from '../engine/signatures.ts';
import { writtenBy } from '../engine/written-by.ts';
import { initialize } from '../model/initialize.ts';
import { elements } from '../model/parameters.ts';
import { tensorsOf } from '../model/placement.ts';
import { readTensors, type DeviceTensor } from '../model/tensor.ts';
import { addCounted, EvaluationPass, writeBatch, writePositions, type LossTotal } from './evaluation-pass.ts';
import { GradientSum } from './gradient-sum.ts';
import type { Initialization } from '../model/parameter.ts';
import { hyperparameters, type OptimizerOptions } from './optimizer.ts';
import { OrderedSum } from './ordered-sum.ts';
import type { TrainingPrograms } from './programs.ts';
import { readStepResults } from './read-step-results.ts';
import { averageRate, WeightAverage } from './weight-average.ts';

export interface StepResult {
  /** Mean loss of the step's counted targets in nats, before the update; NaN if there are none. */
  readonly loss: number;
  /** Global norm of the gradient, before clipping. */
  readonly gradNorm: number;
}

export interface TrainerOptions extends OptimizerOptions {
  /** GPT-2's if absent. */
  readonly initialization?: Initialization;
  /** Decay of the moving average of the parameters, if the programs have one. */
  readonly emaDecay?: number;
}

/** Steps in flight on a device with a queue: while it computes one, the next two are queued. */
export const STEPS_AHEAD = 3;

/** A step that is submitted as a whole. */
export interface WholeStep {
  /** Counted from 0; together with the seed it determines all random numbers of the step. */
  readonly step: number;
  /** With at least one counted target, and the number of micro-batches of the programs. */
  readonly data: StepData;
  /** Number of earlier updates. */
  readonly updates: number;
  readonly learningRate: number;
  /** Of the matrices that Muon updates. */
  readonly matrixLearningRate: number;
  /** The largest mean loss, in nats, with which the update takes effect. */
  readonly lossLimit: number;
}

/** Results of a `WholeStep`. */
export interface WholeStepResult extends StepResult {
  /** Neither this update nor any after it has taken effect: the loss or the norm is not finite, or the loss exceeds its limit. */
  readonly isStopped: boolean;
}

/** Larger than the rounding error of a sum in float32. */
const SUM_TOLERANCE = 0.01;
/** WGSL has no infinity that can be relied on. */
const LARGEST = 3e38;

/** Numbers of micro-batches and counted targets in a step, each at least 1. */
type StepCounts = Pick<StepData, 'microBatches' | 'counted'>;

/** All targets of the step are masked. */
export const NOTHING_COUNTED: StepResult = { loss: NaN, gradNorm: 0 };

/** Mean loss of a step's counted targets, from the sums of its micro-batches. Rounded to float32, the precision of metrics.jsonl. */
export const stepLoss = (losses: OrderedSum, { counted }: StepCounts): number =>
  Math.fround(losses.total / counted);

/**
 * A model in engine memory, with the programs and moments for optimizer steps.
 *
 * Methods in parts (`InParts`, polling.ts) yield between instructions, where an interrupt can end them.
 */
export class Trainer {
  readonly programs: TrainingPrograms;
  readonly gradientSum: GradientSum;
  readonly #device: Device;
  readonly #options: TrainerOptions;
  readonly #seed: number;
  readonly #forwardBackward: Loaded;
  readonly #gradientNorm: Loaded;
  readonly #update: Loaded;
  /** Undefined on a device without a queue. */
  readonly #results: Loaded | undefined;
  readonly #evaluation: EvaluationPass;
  /** Undefined if no average is kept. */
  readonly average: WeightAverage | undefined;

  /** Host copies of the results read after every micro-batch. */
  readonly #losses: Float64Array;
  readonly #norm = new Float64Array(1);

  /**
   * Reserves memory and loads the programs. Parameters and moments are 0 until they are initialized or loaded.
   *
   * @param seed of all random numbers: initial parameters and dropout
   */
  constructor(device: Device, programs: TrainingPrograms, options: TrainerOptions, seed: number) {
    this.programs = programs;
    this.#device = device;
    this.#options = options;
    this.#seed = seed;
    device.reserve(programs.end);
    this.#forwardBackward = device.load(programs.forwardBackward.instructions);
    this.gradientSum = new GradientSum(device, programs.gradientSum, programs.buckets.length);
    this.#gradientNorm = device.load(programs.gradientNorm.instructions);
    this.#update = device.load(programs.update.instructions);
    if (device.isQueued === true && programs.results !== undefined)
      this.#results = device.load(programs.results.program.instructions);
    this.#evaluation = new EvaluationPass(device, programs.evaluation, programs.evaluationBatch);
    this.average = WeightAverage.of(device, programs);
    this.#losses = new Float64Array(programs.batch.B * programs.batch.T);
    for (const memory of [programs.batch, programs.evaluationBatch]) writePositions(device, memory);
  }

  /**
   * The state before the first step: parameters initialized from the seed, moments of 0.
   *
   * @param report receives the progress; GPT-2 124M takes seconds
   */
  initialize(report: Report = noReport): void {
    this.#initialize(this.parameters(), report);
  }

  /** As `initialize`, except for parameters that are loaded next. */
  initializeExcept(loaded: ReadonlySet<string>): void {
    this.#initialize(
      this.parameters().filter(({ name }) => !loaded.has(name)),
      noReport,
    );
  }

  #initialize(targets: readonly DeviceTensor[], report: Report): void {
    const { model, moments } = this.programs;
    const total = targets.reduce((sum, { shape }) => sum + elements(shape), 0);
    initialize(model.config, this.#seed, targets, {
      initialization: this.#options.initialization,
      progress: (done) => report('initializing the parameters', done / total),
    });
    for (const { region } of moments) this.#device.fill(region.offset, region.length, 0);
  }

  /**
   * One whole optimizer step. The training loop runs its parts one by one, to skip a faulty update. Without
   * counted targets the update is skipped, so momentum and weight decay have no effect either.
   *
   * @param step counted from 0; together with the seed it determines all random numbers of the step
   */
  async step(
    step: number,
    batches: readonly Batch[],
    learningRate: number,
    matrixLearningRate = learningRate,
  ): Promise<StepResult> {
    const data = stepOf(batches);
    if (data.counted === 0) return NOTHING_COUNTED;
    const losses = new OrderedSum(data.microBatches);
    for (const [micro, batch] of batches.entries())
      losses.add(await this.accumulate(step, micro, data, batch));
    const gradNorm = await this.gradNorm();
    await this.update(step, learningRate, matrixLearningRate);
    return { loss: stepLoss(losses, data), gradNorm };
  }

  /**
   * Forward and backward pass over one micro-batch, whose gradient is added to those of the previous ones. Micro-batches are
   * passed in order, from 0; after the last one, `gradients` are those of the step.
   *
   * @param micro index of the micro-batch in the step
   * @returns the sum of the losses of its counted targets, in nats
   */
  accumulate(step: number, micro: number, data: StepCounts, batch: Batch): Promise<number> {
    return allParts(this.accumulating(step, micro, data, batch, 0));
  }

  /**
   * `accumulate` in parts. If abandoned, the gradients are incomplete; parameters and moments are unchanged.
   *
   * @param seconds expected duration; undefined: not known yet
   */
  async *accumulating(
    step: number,
    micro: number,
    data: StepCounts,
    batch: Batch,
    seconds: number | undefined,
  ): InParts<number> {
    const loss = yield* this.differentiating(step, micro, data.counted, batch, seconds);
    this.gradientSum.add(micro, data.microBatches);
    return loss;
  }

  /**
   * Forward and backward pass over one micro-batch alone, in parts: `gradients` are then those of its summed losses divided
   * by the counted targets of the whole step. They do not depend on other micro-batches.
   *
   * @param reached see runInParts
   * @returns as `accumulate`
   */
  async *differentiating(
    step: number,
    micro: number,
    counted: number,
    batch: Batch,
    seconds: number | undefined,
    reached?: (instructions: number) => void | Promise<void>,
  ): InParts<number> {
    this.#prepare(step, micro, counted, batch);
    const { instructions } = this.programs.forwardBackward;
    yield* runInParts(this.#device, this.#forwardBackward, instructions.length, seconds, reached);
    const losses = await this.#device.read(this.programs.trainingLosses, this.#losses);
    return addCounted(batch, losses, { sum: 0, count: 0 }).sum;
  }

  /** The global norm of the gradients, before clipping; the update needs it too. */
  async gradNorm(): Promise<number> {
    this.#gradientNorm.submit();
    const [norm] = await this.#device.read(this.programs.norm.offset, this.#norm);
    return norm;
  }

  /**
   * Runs the optimizer update.
   *
   * @param updates number of earlier updates
   * @param matrixLearningRate of the matrices that Muon updates
   */
  update(updates: number, learningRate: number, matrixLearningRate = learningRate): Promise<void> {
    this.#device.write(
      this.programs.hyper.offset,
      this.#hyperparameters(updates, learningRate, matrixLearningRate),
    );
    this.#update.submit();
    return this.#device.finish();
  }

  #hyperparameters(updates: number, learningRate: number, matrixLearningRate: number): Float64Array {
    const slots = hyperparameters(this.#options, updates + 1, { learningRate, matrixLearningRate });
    slots[HYPER.averageRate] = averageRate(this.#options.emaDecay ?? 0, updates + 1);
    return slots;
  }

  /** Whether steps can be submitted as a whole, before the results of earlier ones are known. */
  get canSubmitWhole(): boolean {
    return this.#results !== undefined;
  }

  /** Whether a step has the number of micro-batches that the programs were planned for. */
  isWhole({ microBatches }: StepData): boolean {
    const { batch, results } = this.programs;
    return microBatches * batch.B * batch.T + 2 === results?.region.length;
  }

  /**
   * Submits gradient and update of a step without waiting. Its update takes effect unless the step or an earlier one stopped the
   * updates; `allowUpdates` lets them take effect again.
   */
  async submitWhole(whole: WholeStep): Promise<WholeStepResult> {
    const { step, data, updates, learningRate, matrixLearningRate, lossLimit } = whole;
    const { region } = this.programs.results!;
    const batches: Batch[] = [];
    for (const batch of data.batches) {
      const micro = batches.push(batch) - 1;
      this.#prepare(step, micro, data.counted, batch);
      this.#forwardBackward.submit();
      this.#results!.submit(micro, micro + 1);
      this.gradientSum.add(micro, data.microBatches);
    }
    this.#gradientNorm.submit();
    const slots = this.#hyperparameters(updates, learningRate, matrixLearningRate);
    slots[HYPER.lossLimit] = Math.min(LARGEST, (1 - SUM_TOLERANCE) * lossLimit * data.counted);
    this.#device.write(this.programs.hyper.offset, slots.subarray(0, HYPER.stopped));
    this.#results!.submit(batches.length);
    this.#update.submit();
    const numbers = await this.#device.read(region.offset, new Float64Array(region.length));
    const { losses, ...verdict } = readStepResults(numbers, batches);
    return { loss: stepLoss(losses, data), ...verdict };
  }

  /** Ends the effect of a step that stopped the updates. */
  allowUpdates(): void {
    this.#device.write(this.programs.hyper.offset + HYPER.stopped, Float32Array.of(0));
  }

  /**
   * Finds where a step goes wrong: in the parameters, or else by repeating its passes instruction by instruction. In
   * parts, since it takes longer than the step itself. If abandoned, only the gradients have changed.
   *
   * @returns in words, the first tensor that is not finite; if all are, the one with the largest gradient
   */
  async *findFault(step: number, { counted, microBatches, batches }: StepData): InParts<string> {
    for (const { parameter, start, length, storage } of this.programs.model.block.parameters) {
      if (storage !== 'f32') continue; // frozen, and finite since it was loaded
      const offset = this.programs.model.region.offset + start;
      if (!(await this.#isFinite({ offset, length }))) return `${parameter.name} is not finite`;
      yield;
    }
    let micro = 0;
    for (const batch of batches) {
      this.#prepare(step, micro, Math.max(1, counted), batch);
      for (const [i, instruction] of this.programs.forwardBackward.instructions.entries()) {
        this.#forwardBackward.submit(i, i + 1);
        for (const buffer of writtenBy(instruction))
          if (!(await this.#isFinite(buffer)))
            return `the output of ${instruction.label} (${instruction.kernel}) is not finite`;
        yield;
      }
      this.gradientSum.add(micro++, microBatches);
    }
    const gradients = await readTensors(this.gradients());
    const norms = gradients.map(({ name, data }) => ({ name, norm: norm(data) }));
    return `all values are finite; ${norms.reduce((a, b) => (b.norm > a.norm ? b : a)).name} has the largest gradient`;
  }

  /**
   * The mean loss of the counted targets of batches of `evaluationBatch`'s shape, in nats per token; NaN if there are none.
   * Summed in float64, in order.
   */
  async evaluate(batches: Iterable<Batch>): Promise<number> {
    const total = { sum: 0, count: 0 };
    for (const batch of batches) await this.addLosses(batch, total);
    return total.sum / total.count;
  }

  /** Adds the losses of a batch's counted targets, in nats, and their number. */
  addLosses(batch: Batch, total: LossTotal): Promise<void> {
    return allParts(this.addingLosses(batch, total, 0));
  }

  /** `addLosses` in parts. @param seconds expected duration; undefined: not known yet */
  addingLosses(batch: Batch, total: LossTotal, seconds: number | undefined): InParts<void> {
    return this.#evaluation.addingLosses(batch, total, seconds);
  }

  /** The losses of an evaluation batch; see EvaluationPass. */
  losses(batch: Batch, seconds: number | undefined): InParts<Float64Array> {
    return this.#evaluation.losses(batch, seconds);
  }

  /** All parameters, including fixed ones. */
  parameters(): DeviceTensor[] {
    const { block, region } = this.programs.model;
    return tensorsOf(this.#device, block, region);
  }

  /** The gradients of the last step. */
  gradients(): DeviceTensor[] {
    const { model, gradients } = this.programs;
    return tensorsOf(this.#device, model.block, gradients, { trainedOnly: true });
  }

  /** The optimizer's moments: names like `m.h.0.attn.c_attn.weight`. */
  moments(): DeviceTensor[] {
    return this.programs.moments.flatMap(({ name, region, parameters }) =>
      tensorsOf(this.#device, { parameters }, region).map((tensor) => ({
        ...tensor,
        name: `${name}.${tensor.name}`,
      })),
    );
  }

  /** Time per instruction over the steps so far; empty if the backend does not measure it. */
  async timings(): Promise<Timing[]> {
    const programs = [this.#forwardBackward, this.gradientSum.loaded, this.#gradientNorm, this.#update];
    const timings: Timing[] = [];
    for (const program of programs) timings.push(...((await program.timings?.()) ?? []));
    return timings;
  }

  /** Writes what a micro-batch's program reads: the batch, the key of its random numbers, the derivative of the step's mean loss. */
  #prepare(step: number, micro: number, counted: number, batch: Batch): void {
    const { dLosses, batch: memory } = this.programs;
    this.#device.fill(dLosses.offset, dLosses.length, 1 / counted);
    writeBatch(this.#device, batch, memory);
    this.#device.write(memory.rng.offset, Int32Array.of(...seedKey(this.#seed), step, micro));
  }

  /** Reads a buffer in chunks, since the host may lack memory for a copy of large activations. */
  async #isFinite({ offset, length }: Pick<Buffer, 'offset' | 'length'>): Promise<boolean> {
    const scratch = new Float32Array(Math.min(length, READ_ELEMENTS));
    for (let at = 0; at < length; at += READ_ELEMENTS) {
      const piece = scratch.subarray(0, Math.min(READ_ELEMENTS, length - at));
      if (!(await this.#device.read(offset + at, piece)).every((x) => Number.isFinite(x))) return false;
    }
    return true;
  }
}

/** Numbers read at a time in the search for one that is not finite. */
const READ_ELEMENTS = 2 ** 18;

const norm = (data: Float32Array): number => Math.sqrt(data.reduce((sum, x) => sum + x * x, 0));
