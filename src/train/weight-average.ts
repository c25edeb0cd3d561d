/**
 * The exponential moving average of the parameters (Polyak & Juditsky 1992, averaged uniformly). At a high learning rate, the
 * parameters bounce around a better point, and their average is close to it.
 *
 *     average ← average + (1 − d)·(parameters − average)     d = min(decay, (t − 1)/(t + 8)) at update t = 1, 2, …
 *
 * The warm-up of d is that of TensorFlow's ExponentialMovingAverage. Until d reaches the decay, the average covers about the
 * last ninth of the updates, so that the initial parameters are soon forgotten.
 */
import type { Batch } from '../data/batches.ts';
import type { Device } from '../engine/device.ts';
import { tensorsOf, type PlacedModel } from '../model/placement.ts';
import type { DeviceTensor } from '../model/tensor.ts';
import type { InParts } from '../polling.ts';
import { EvaluationPass, type LossTotal } from './evaluation-pass.ts';
import type { TrainingPrograms } from './programs.ts';

/** The weight 1 − d of the newest parameters in the average. @param t the update, counted from 1 */
export const averageRate = (decay: number, t: number): number => 1 - Math.min(decay, (t - 1) / (t + 8));

/** The average in the memory of a trainer. */
export class WeightAverage {
  readonly #device: Device;
  readonly #parameters: PlacedModel;
  readonly #average: PlacedModel;
  readonly #evaluation: EvaluationPass;

  /** @returns undefined if the programs keep none */
  static of(
    device: Device,
    { model, average, evaluationBatch }: TrainingPrograms,
  ): WeightAverage | undefined {
    if (average === undefined) return undefined;
    const evaluation = new EvaluationPass(device, average.evaluation, evaluationBatch);
    return new WeightAverage(device, model, average.model, evaluation);
  }

  private constructor(
    device: Device,
    parameters: PlacedModel,
    average: PlacedModel,
    evaluation: EvaluationPass,
  ) {
    this.#device = device;
    this.#parameters = parameters;
    this.#average = average;
    this.#evaluation = evaluation;
  }

  /** The averages of all parameters, under the parameters' names. */
  parameters(): DeviceTensor[] {
    return tensorsOf(this.#device, this.#average.block, this.#average.region);
  }

  /** Restarts the average from the current parameters. */
  restart(): void {
    const { offset, length } = this.#parameters.region;
    this.#device.copy(offset, this.#average.region.offset, length);
  }

  /** See EvaluationPass. */
  losses(batch: Batch, seconds: number | undefined): InParts<Float64Array> {
    return this.#evaluation.losses(batch, seconds);
  }

  /** See EvaluationPass. */
  addingLosses(batch: Batch, total: LossTotal, seconds: number | undefined): InParts<void> {
    return this.#evaluation.addingLosses(batch, total, seconds);
  }
}
