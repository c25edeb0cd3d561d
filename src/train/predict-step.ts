import { predictedSeconds, type GpuRates } from '../engine/gpu-rates.ts';
import type { TrainingPrograms } from './programs.ts';

/** Seconds of a step on a GPU, predicted from its rates. */
export function predictStep(
  rates: GpuRates,
  { forwardBackward, gradientNorm, update }: TrainingPrograms,
  microBatches: number,
): number {
  const secondsOf = ({ instructions }: TrainingPrograms['update']): number =>
    predictedSeconds(rates, instructions);
  return microBatches * secondsOf(forwardBackward) + secondsOf(gradientNorm) + secondsOf(update);
}
