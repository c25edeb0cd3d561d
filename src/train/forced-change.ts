/** The record of a change made with --force when a run was resumed. */
import { isJsonObject } from '../json.ts';
import { count, positive, type Rule } from '../json-rules.ts';

export interface ForcedChange {
  /** Steps before this one used the earlier values. */
  readonly step: number;
  /** The earlier values of what changed; null for none. Includes `corpus` if the text differed. */
  readonly before: Readonly<Record<string, unknown>> & Partial<StepSize>;
}

/** Determines the number of sequences in a step; see sequences.ts. */
export interface StepSize {
  readonly batchSize: number;
  readonly gradientAccumulationSteps: number;
}

const isStepSize = ({ batchSize = 1, gradientAccumulationSteps = 1 }: Readonly<Record<string, unknown>>) =>
  positive.is(batchSize) && positive.is(gradientAccumulationSteps);

export const forcedChange: Rule = {
  is: (value) =>
    isJsonObject(value) &&
    count.is(value['step']) &&
    isJsonObject(value['before']) &&
    isStepSize(value['before']),
  expected: 'a step and earlier values of options',
};
