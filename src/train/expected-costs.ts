/** Estimated costs of a run's parts, used until they have been measured. */
import { stateBytes } from './programs.ts';
import type { Costs } from './run-time.ts';
import { modelConfig, trainingShape, type Settings } from './settings.ts';
import type { TrainingData } from './training-data.ts';

/** A forward pass takes about this fraction of a step. */
export const FORWARD_SHARE = 1 / 3;
/** The fraction of its time that a run may spend on evaluations. */
export const EVALUATION_SHARE = 0.05;
/** Time to decode a token of a preview, one sequence at a time, as a multiple of its share of a forward pass. */
const DECODING_FACTOR = 10;
/** Write speed of the disk in bytes/s, and seconds for the files of a checkpoint of any size. */
const [DISK_SPEED, CHECKPOINT_SECONDS] = [2e8, 0.03];

/**
 * @param stepSeconds as measured, without gradient accumulation
 * @param ranks processes that share the work
 */
export function expectedCosts(
  settings: Settings,
  { validation, tokenizer }: Pick<TrainingData, 'validation' | 'tokenizer'>,
  stepSeconds: number,
  ranks = 1,
): Costs {
  const { batchSize, blockSize, gradientAccumulationSteps: microBatches } = settings;
  const config = modelConfig(settings, tokenizer.vocabSize);
  const forward = FORWARD_SHARE * stepSeconds;
  const token = (DECODING_FACTOR * forward) / (batchSize * blockSize);
  // Parameters, moments, their average and the best model: as many bytes as training keeps, gradients included.
  const shape = trainingShape(settings, config);
  const bytes = stateBytes(shape);
  const passes = shape.hasAverage === true ? 3 : 2; // the weights on both samples, the average on the validation sample
  return {
    step: stepSeconds * Math.ceil(microBatches / ranks),
    evaluation: (passes * settings.evalIters * forward) / ranks + settings.sampleTokens * token,
    checkpoint: CHECKPOINT_SECONDS + bytes / DISK_SPEED,
    last: forward * Math.ceil(validation.length / (batchSize * blockSize * ranks)),
  };
}
