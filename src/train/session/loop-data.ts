import { randomStep, sampleBatches, wholeBatches, type Batch, type StepData } from '../../data/batches.ts';
import { dividedRows } from '../../data/documents/document-rows.ts';
import { epochStep } from '../../data/epochs.ts';
import type { TokenSource } from '../../data/token-source.ts';
import type { LoopData } from '../loop.ts';
import { evaluationBatchSize } from '../programs.ts';
import { sequencesBefore } from '../sequences.ts';
import type { Settings } from '../settings.ts';
import type { TrainingData } from '../training-data.ts';

/**
 * The batches of a run. Without a validation split, evaluations use the training split.
 *
 * @param endId the token that ends a document, for runs with a document mask
 */
export function loopData(
  { train: tokens, validation }: Pick<TrainingData, 'train' | 'validation'>,
  settings: Settings,
  endId?: number,
): LoopData {
  const { batchSize, blockSize: T, evalIters } = settings;
  const evaluationShape = { B: evaluationBatchSize(batchSize, T), T };
  const sampleSize = evalIters * batchSize;
  const evaluated = validation.length > 0 ? validation : tokens;
  const inDocuments = (batches: Iterable<Batch>): Iterable<Batch> =>
    settings.documentMask ? dividedRows(batches, T, endId) : batches;
  return {
    stepData(step) {
      const data = trainingStep(tokens, settings, step);
      return { ...data, batches: inDocuments(data.batches) };
    },
    trainSample: () => inDocuments(sampleBatches(tokens, evaluationShape, sampleSize)),
    validationSample: () => inDocuments(sampleBatches(evaluated, evaluationShape, sampleSize)),
    wholeValidation:
      validation.length > 0 ? () => inDocuments(wholeBatches(validation, evaluationShape)) : undefined,
  };
}

function trainingStep(tokens: TokenSource, settings: Settings, step: number): StepData {
  const { batchSize: B, blockSize: T, gradientAccumulationSteps: microBatches, seed } = settings;
  return settings.batchSampling === 'epochs'
    ? epochStep(tokens, { B, T }, { seed, first: sequencesBefore(step, settings), microBatches })
    : randomStep(tokens, { B, T }, { seed, step, microBatches });
}
