import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import type { Batch, StepData } from '../data/batches.ts';
import type { NamedTensor } from '../model/tensor.ts';
import type { InParts, Poll } from '../polling.ts';
import { meanLoss } from './mean-loss.ts';
import { stepGradient } from './step-gradient.ts';
import type { StepResult, Trainer, WholeStep, WholeStepResult } from './trainer.ts';
import type { WeightAverage } from './weight-average.ts';

/** The model to evaluate: the current parameters or their average. */
export type Evaluated = 'weights' | 'average';

/** A trainer's parameters or their average, to be evaluated. */
export const evaluatedModel = (trainer: Trainer, model: Evaluated): Trainer | WeightAverage =>
  model === 'weights' ? trainer : trainer.average!;

/** See the methods of Trainer. */
export interface StepsAhead {
  submitWhole(step: WholeStep): Promise<WholeStepResult>;
  isWhole(data: StepData): boolean;
  allowUpdates(): void;
}

/** The computations of the training loop: by one process, or shared by several ranks. */
export interface StepWork {
  /** See stepGradient. */
  stepGradient(
    step: number,
    data: StepData,
    lastSeconds: number | undefined,
    poll: Poll,
  ): Promise<StepResult | undefined>;
  /** See Trainer.update. */
  update(updates: number, learningRate: number, matrixLearningRate: number): Promise<void>;
  /** See Trainer.findFault. */
  findFault(step: number, data: StepData): InParts<string>;
  /**
   * Called after each step, also one whose update was skipped.
   *
   * @param done steps so far
   */
  finishStep(done: number): Promise<void>;
  /** Present where steps can be submitted before the results of earlier ones are known. */
  readonly ahead?: StepsAhead | undefined;
  /** See meanLoss. */
  meanLoss(
    model: Evaluated,
    batches: Iterable<Batch>,
    poll: Poll,
    evaluated?: (tokens: number) => void,
  ): Promise<number | undefined>;
  /**
   * Called after the trainer's parameters, moments and average were replaced.
   *
   * @param checkpoint from which; undefined: by the state before the first step
   */
  stateReplaced(checkpoint: Checkpoint | undefined): Promise<void>;
  /** Called after its parameters alone were replaced. */
  parametersReplaced(): Promise<void>;
  /**
   * Called before moments and average are saved.
   *
   * @returns what is saved besides the tensors of the trainer; see replicas/replica-state.ts
   */
  completeState(): Promise<readonly NamedTensor[]>;
  /**
   * Called after the last checkpoint, before the parameters are saved as the model: that of replicas which have diverged is
   * their mean.
   */
  takeMean(): Promise<void>;
}

/** The work of a process that trains alone. */
export const localWork = (trainer: Trainer): StepWork => ({
  stepGradient: (step, data, lastSeconds, poll) => stepGradient(trainer, step, data, lastSeconds, poll),
  update: (updates, learningRate, matrixLearningRate) =>
    trainer.update(updates, learningRate, matrixLearningRate),
  findFault: (step, data) => trainer.findFault(step, data),
  finishStep: () => Promise.resolve(),
  ahead: trainer.canSubmitWhole ? trainer : undefined,
  meanLoss: (model, batches, poll, evaluated) =>
    meanLoss(evaluatedModel(trainer, model), batches, poll, evaluated),
  stateReplaced: () => Promise.resolve(),
  parametersReplaced: () => Promise.resolve(),
  completeState: () => Promise.resolve([]),
  takeMean: () => Promise.resolve(),
});
