import { randomStep, sampleBatches, wholeBatches } from '../../data/batches.ts';
import type { LoopData } from '../loop.ts';
import { evaluationBatchSize } from '../programs.ts';
import type { Settings } from '../settings.ts';
import type { TrainingData } from '../training-data.ts';

/** The batches of a run. Without a validation split, evaluations use the training split. */
export function loopData({ train: tokens, validation }: TrainingData, settings: Settings): LoopData {
  const { batchSize, blockSize: T, evalIters, seed, gradientAccumulationSteps: microBatches } = settings;
  const shape = { B: batchSize, T };
  const evaluationShape = { B: evaluationBatchSize(batchSize, T), T };
  const sampleSize = evalIters * batchSize;
  const evaluated = validation.length > 0 ? validation : tokens;
  return {
    stepData: (step) => randomStep(tokens, shape, { seed, step, microBatches }),
    trainSample: () => sampleBatches(tokens, evaluationShape, sampleSize),
    validationSample: () => sampleBatches(evaluated, evaluationShape, sampleSize),
    wholeValidation: validation.length > 0 ? () => wholeBatches(validation, evaluationShape) : undefined,
  };
}
