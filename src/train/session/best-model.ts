import { ESTIMATED_LOSS, IS_AVERAGE, savedTensors } from '../../checkpoint/model-folder.ts';
import type { Run } from '../../checkpoint/run.ts';
import { isSystemError } from '../../errors.ts';
import { readTensors, writeTensor, type DeviceTensor, type NamedTensor } from '../../model/tensor.ts';
import { noReport, type Report } from '../../reporting.ts';
import type { Progress } from '../progress.ts';
import type { Trainer } from '../trainer.ts';

interface UnsavedModel {
  readonly tensors: readonly NamedTensor[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** Identifies the best model. */
type Best = Pick<Progress, 'bestStep' | 'isBestAverage'>;

/**
 * The best model of a run, saved in the run's folder. Since a full disk may be temporary, a model that cannot be written is
 * kept in memory, and the next checkpoint tries again.
 */
export class BestModel {
  readonly #run: Run;
  readonly #trainer: Trainer;
  readonly #saved: (done: number) => void;
  #unsaved: UnsavedModel | undefined;

  /** @param report receives the progress of writing the model */
  constructor(run: Run, trainer: Trainer, report: Report = noReport) {
    this.#run = run;
    this.#trainer = trainer;
    this.#saved = (done) => report('saving the best model', done);
  }

  /** Saves the trainer's parameters, or other tensors. @param metadata for the weights file, besides the step */
  async save(
    { bestStep, isBestAverage }: Best,
    metadata: Readonly<Record<string, string>>,
    tensors: readonly DeviceTensor[] = this.#trainer.parameters(),
  ): Promise<void> {
    const whole = { step: String(bestStep), ...metadata, ...(isBestAverage && { [IS_AVERAGE]: 'true' }) };
    try {
      await this.#run.saveBest(tensors, whole, this.#saved);
      this.#unsaved = undefined;
    } catch (error) {
      if (!isSystemError(error)) throw error;
      this.#unsaved = { tensors: await readTensors(this.#savedAmong(tensors)), metadata: whole };
    }
  }

  /** Saves the parameters in the trainer with their loss on the validation sample, in nats per token. */
  saveEstimated(best: Best, loss: number): Promise<void> {
    return this.save(best, { [ESTIMATED_LOSS]: String(loss) });
  }

  /**
   * After an evaluation that found a new best model: saves the parameters in the trainer or their average. One that is lost is
   * recovered from the checkpoint of its step, whose weights are the same.
   */
  saveEvaluated({ bestLoss, ...best }: Best & Pick<Progress, 'bestLoss'>): Promise<void> {
    const average = best.isBestAverage ? this.#trainer.average?.parameters() : undefined;
    return this.save(best, { [ESTIMATED_LOSS]: String(bestLoss) }, average);
  }

  /** Writes a model that could not be written before. @throws the system error if that fails again */
  async retry(): Promise<void> {
    if (this.#unsaved === undefined) return;
    await this.#run.saveBest(this.#unsaved.tensors, this.#unsaved.metadata, this.#saved);
    this.#unsaved = undefined;
  }

  /** Loads the best model into the trainer. */
  load(): void {
    const parameters = this.#savedAmong(this.#trainer.parameters());
    if (this.#unsaved === undefined) return this.#run.openBest().load(parameters);
    const saved = new Map(this.#unsaved.tensors.map((tensor) => [tensor.name, tensor.data]));
    for (const tensor of parameters) writeTensor(tensor, saved.get(tensor.name)!);
  }

  /** Frozen parameters never change. */
  #savedAmong(tensors: readonly DeviceTensor[]): readonly DeviceTensor[] {
    return savedTensors(this.#trainer.programs.model.config, tensors);
  }
}
