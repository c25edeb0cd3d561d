import { HYPER } from '../engine/signatures.ts';

export const optimizerNames = ['adamw', 'sgd'] as const;
export type OptimizerName = (typeof optimizerNames)[number];

/** What stays the same over a run; the learning rate comes from the schedule. */
export interface OptimizerOptions {
  readonly optimizer: OptimizerName;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly momentum: number;
  /** Clip the global gradient norm to this; 0: do not. */
  readonly gradClip: number;
}

/** Writes the hyperparameters of optimiser step `step` (counted from 1) to where the kernels read them, in torch.optim.AdamW's arithmetic. */
export function writeHyper(
  hyper: Float32Array | Float64Array,
  options: OptimizerOptions,
  step: number,
  learningRate: number,
): void {
  hyper[HYPER.learningRate] = learningRate;
  hyper[HYPER.beta1] = options.beta1;
  hyper[HYPER.beta2] = options.beta2;
  hyper[HYPER.epsilon] = options.epsilon;
  hyper[HYPER.oneMinusBeta1] = 1 - options.beta1; // in float64, as the bias corrections below, which belong to it
  hyper[HYPER.oneMinusBeta2] = 1 - options.beta2;
  hyper[HYPER.weightDecay] = options.weightDecay;
  hyper[HYPER.correction1] = 1 - options.beta1 ** step; // undoes the moments' start at 0 (Kingma & Ba 2015, section 3)
  hyper[HYPER.correction2] = 1 - options.beta2 ** step;
  hyper[HYPER.clip] = options.gradClip;
  hyper[HYPER.momentum] = options.momentum;
}
