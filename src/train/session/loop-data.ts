import { randomStep, sampleBatches, wholeBatches, type StepData } from '../../data/batches.ts';
import { epochStep } from '../../data/epochs.ts';
import type { TokenSource } from '../../data/token-source.ts';
import type { LoopData } from '../loop.ts';
import { evaluationBatchSize } from '../programs.ts';
import { sequencesBefore } from '../sequences.ts';
import type { Settings } from '../settings.ts';
import type { TrainingData } from '../training-data.ts';

/** The batches of a run. Without a validation split, evaluations use the training split. */
export function loopData(
  { train: tokens, validation }: Pick<TrainingData, 'train' | 'validation'>,
  settings: Settings,
): LoopData {
  const { batchSize, blockSize: T, evalIters } = settings;
  const evaluationShape = { B: evaluationBatchSize(batchSize, T), T };
  const sampleSize = evalIters * batchSize;
  const evaluated = validation.length > 0 ? validation : tokens;
  return {
    stepData: (step) => trainingStep(tokens, settings, step),
    trainSample: () => sampleBatches(tokens, evaluationShape, sampleSize),
    validationSample: () => sampleBatches(evaluated, evaluationShape, sampleSize),
    wholeValidation: validation.length > 0 ? () => wholeBatches(validation, evaluationShape) : undefined,
  };
}

function trainingStep(tokens: TokenSource, settings: Settings, step: number): StepData {
  const { batchSize: B, blockSize: T, gradientAccumulationSteps: microBatches, seed } = settings;
  return settings.batchSampling === 'epochs'
    ? epochStep(tokens, { B, T }, { seed, first: sequencesBefore(step, settings), microBatches })
    : randomStep(tokens, { B, T }, { seed, step, microBatches });
}
