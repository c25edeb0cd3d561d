import type { LazyBackend } from '../engine/backend.ts';
import { costOf } from '../engine/cost.ts';
import { EVALUATION_SHARE } from './expected-costs.ts';
import type { TrainingPrograms, TrainingShape } from './programs.ts';
import { CALIBRATION_SECONDS, measureSpeed } from './timed-training.ts';

/**
 * Runs of fewer FLOPs than this, about ten minutes on two cores, show their remaining time only after the first steps:
 * measuring it beforehand would more than double the time to the first step.
 */
const SHORT_RUN = 1e14;

/**
 * The expected time of `steps` steps, in seconds; undefined for a short run.
 *
 * @param measuring called before the speed is measured
 */
export async function expectSeconds(
  shape: TrainingShape,
  { forwardBackward }: TrainingPrograms,
  steps: number,
  engine: LazyBackend,
  measuring?: () => void,
): Promise<number | undefined> {
  const flops = forwardBackward.instructions.reduce((sum, each) => sum + costOf(each).flops, 0);
  const { microBatches, ranks = shape.replicas } = shape;
  if (steps * microBatches * flops < SHORT_RUN) return undefined;
  measuring?.();
  const { stepSeconds } = await measureSpeed(shape, engine, CALIBRATION_SECONDS);
  return (steps * Math.ceil(microBatches / (ranks?.size ?? 1)) * stepSeconds) / (1 - EVALUATION_SHARE);
}
