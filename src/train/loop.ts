/**
 * The training loop: steps, evaluations, checkpoints, rollbacks and early stopping, from the first step to the last. Its state is
 * a `Progress` (progress.ts), from which `nextPhase` derives what to do next; everything that happens is an event for the sinks.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { handled } from '../collective/handled.ts';
import type { Batch, StepData } from '../data/batches.ts';
import { SIGNAL_POLL_SECONDS, unlessStopped } from '../polling.ts';
import { afterRollback, faultOf, lossWithoutSpike, MAX_ROLLBACKS, SKIPS_TO_DIVERGE } from './divergence.ts';
import type { DivergenceCause, EventSink, RunEnd, TrainEvent } from './events.ts';
import {
  afterEvaluation,
  afterOptimizerStep,
  freshProgress,
  isAverageBetter,
  isPauseAfter,
  nextPhase,
  scheduled,
  type EvaluationLosses,
  type Phase,
  type Progress,
  type Skipped,
} from './progress.ts';
import { saveInterval } from './save-every.ts';
import { learningRateAt, learningRateAtPeak } from './schedule.ts';
import { localClock, type RunClock } from './session/run-clock.ts';
import { scheduleOptions, type Settings } from './settings.ts';
import { localWork, type Evaluated, type StepWork } from './step-work.ts';
import {
  NOTHING_COUNTED,
  STEPS_AHEAD,
  type StepResult,
  type Trainer,
  type WholeStepResult,
} from './trainer.ts';

/** The data of a run as functions, which makes the loop independent of the token source. */
export interface LoopData {
  /** The micro-batches of step `step`, counted from 0; a pure function of it. */
  readonly stepData: (step: number) => StepData;
  /** A fixed sample of each split, the same at every evaluation. */
  readonly trainSample: () => Iterable<Batch>;
  readonly validationSample: () => Iterable<Batch>;
  /** The whole validation split, on which the best model is evaluated at the end; undefined without a split. */
  readonly wholeValidation: (() => Iterable<Batch>) | undefined;
}

/** The parts of a run. The loop itself prints and saves nothing. */
export interface LoopParts {
  readonly trainer: Trainer;
  /** How its steps are computed; default: by this process. */
  readonly work?: StepWork;
  readonly data: LoopData;
  /** Each event goes through all of them in order before training continues. */
  readonly sinks: readonly EventSink[];
  readonly clock?: RunClock;
  /** Restores the state of the last checkpoint up to a step, or else the initial state; returns the progress there. */
  readonly restore?: (step: number) => Progress | Promise<Progress>;
  /** Overwrites the parameters with those of the best model, to evaluate it at the end of a run. */
  readonly loadBest?: () => void;
  /**
   * Called after each evaluation batch with the number of tokens predicted so far.
   *
   * @param what a sample of a split, or the whole validation split at the end
   */
  readonly evaluated?: (tokens: number, what: 'sample' | 'whole') => void;
  /** See `InspectStep`. */
  readonly inspect?: InspectStep | undefined;
}

/**
 * May replace the loss and gradient norm of a step before they are checked: tests inject faults here. Each step then waits for
 * the one before it.
 *
 * @param before progress before the step
 */
export type InspectStep = (before: Progress, found: StepResult, trainer: Trainer) => StepResult;

/** Trains from `progress` to the end: steps, evaluations, early stopping, rollbacks after divergence. */
export const train = (parts: LoopParts, settings: Settings, progress = freshProgress): Promise<RunEnd> =>
  new TrainingLoop(parts, settings, progress).run();

/** The outcome of a step or an evaluation. An interrupted one is discarded; a cause calls for a rollback. */
type Outcome = 'done' | 'interrupted' | DivergenceCause;

/** A step that was submitted before the results of those before it were known. */
interface SubmittedStep {
  readonly learningRate: number;
  /** In milliseconds of `performance.now()`. */
  readonly submitted: number;
  readonly result: Promise<WholeStepResult>;
}

class TrainingLoop {
  readonly #parts: LoopParts;
  readonly #work: StepWork;
  readonly #clock: RunClock;
  #settings: Settings;
  #progress: Progress;
  /** Wall time of the last step, and when it ended. */
  #stepSeconds: number | undefined;
  #stepEnd = 0;
  /** The steps after `#progress` that have been submitted, in order. All clock decisions wait until there are none. */
  #ahead: SubmittedStep[] = [];
  #isEnding = false;

  constructor(parts: LoopParts, settings: Settings, progress: Progress) {
    this.#parts = parts;
    this.#work = parts.work ?? localWork(parts.trainer);
    this.#clock = parts.clock ?? localClock();
    this.#settings = settings;
    this.#progress = progress;
  }

  async run(): Promise<RunEnd> {
    const end = await this.#evaluateWhole(await this.#untilEnd());
    await this.#emit(end);
    return end;
  }

  async #untilEnd(): Promise<Pick<RunEnd, 'reason' | 'cause'>> {
    for (;;) {
      await nextTurn(); // signals are delivered only when the event loop turns
      this.#isEnding = await this.#clock.isInterrupted();
      if (this.#isEnding && this.#ahead.length === 0) {
        await this.#checkpoint();
        return { reason: 'interrupted', cause: undefined };
      }
      const phase = nextPhase(this.#progress, this.#settings);
      if (phase === 'finished' || phase === 'stopped early') return { reason: phase, cause: undefined };
      const outcome = await this.#perform(phase);
      if (outcome === 'done' && phase === 'final evaluation') return { reason: 'finished', cause: undefined };
      // The replicas may have been averaged by now, so no checkpoint follows the one before the evaluation.
      if (outcome === 'interrupted' && phase === 'final evaluation')
        return { reason: 'interrupted', cause: undefined };
      if (outcome === 'done' || outcome === 'interrupted') continue; // the clock is consulted again at the top
      if (!(await this.#rollBack(outcome))) return { reason: 'diverged', cause: outcome };
    }
  }

  /** A step or an evaluation, followed by its checkpoint. */
  async #perform(phase: Exclude<Phase, 'finished' | 'stopped early'>): Promise<Outcome> {
    if (phase === 'final evaluation') return this.#evaluateAtEnd();
    const outcome = phase === 'step' ? await this.#step() : await this.#evaluate();
    if (outcome !== 'done' || this.#ahead.length > 0) return outcome;
    if (phase === 'evaluation' || (await this.#isCheckpointDue())) await this.#checkpoint();
    return outcome;
  }

  /** The next step, which may have been submitted already. */
  async #step(): Promise<Outcome> {
    await this.#submitAhead();
    const next = this.#ahead.shift();
    if (next === undefined) return this.#stepNow();
    const { loss, gradNorm, isStopped } = await next.result;
    if (isStopped) {
      this.#ahead = []; // they changed nothing
      this.#work.ahead?.allowUpdates();
      return this.#stepNow(); // decides with all losses known whether it is skipped
    }
    const after = afterOptimizerStep(this.#progress, loss, undefined);
    await this.#work.finishStep(after.step);
    const seconds = this.#timeStep(Math.max(next.submitted, this.#stepEnd));
    this.#progress = after;
    const { learningRate } = next;
    await this.#emit({
      type: 'step',
      step: after.step,
      loss,
      gradNorm,
      learningRate,
      skipped: undefined,
      seconds,
    });
    this.#progress = scheduled(after, this.#settings);
    return 'done';
  }

  /**
   * Submits the next steps up to a pause, at most STEPS_AHEAD at a time. Longer steps than SIGNAL_POLL_SECONDS are computed one by
   * one, in parts that can be interrupted; they lose little by it.
   */
  async #submitAhead(): Promise<void> {
    const { ahead } = this.#work;
    const { data, inspect } = this.#parts;
    if (ahead === undefined || inspect !== undefined || this.#isEnding) return;
    if (this.#stepSeconds === undefined || this.#stepSeconds > SIGNAL_POLL_SECONDS) return;
    const before = this.#progress;
    while (this.#ahead.length < STEPS_AHEAD) {
      const pending = this.#ahead.length;
      const step = before.step + pending;
      if (pending > 0 && (isPauseAfter(step, this.#settings) || (await this.#isDecisionDue()))) return;
      const stepData = data.stepData(step);
      if (stepData.counted === 0 || !ahead.isWhole(stepData)) return;
      const submitted = performance.now();
      const rates = this.#learningRatesAt(step);
      const updates = before.updates + pending;
      const lossLimit = lossWithoutSpike(before.health, pending);
      const result = handled(ahead.submitWhole({ step, data: stepData, updates, ...rates, lossLimit }));
      this.#ahead.push({ learningRate: rates.learningRate, submitted, result });
    }
  }

  #isDecisionDue(): boolean | Promise<boolean> {
    return this.#clock.isDecisionDue(this.#settings, this.#progress.step);
  }

  #learningRatesAt(step: number): { readonly learningRate: number; readonly matrixLearningRate: number } {
    const schedule = scheduleOptions(this.#settings);
    const { learningRateFactor } = this.#progress.health;
    return {
      learningRate: learningRateFactor * learningRateAt(step, schedule),
      matrixLearningRate:
        learningRateFactor * learningRateAtPeak(this.#settings.muonLearningRate, step, schedule),
    };
  }

  /** Seconds since the start of a step that has just ended. */
  #timeStep(start: number): number {
    this.#stepEnd = performance.now();
    return (this.#stepSeconds = (this.#stepEnd - start) / 1000);
  }

  /** Evaluates the last step of a run that does not end with its decay. Not in the checkpoint: an extension is as if planned so long. */
  async #evaluateAtEnd(): Promise<Outcome> {
    await this.#checkpoint();
    const saved = this.#progress;
    const outcome = await this.#evaluate();
    if (outcome !== 'done') this.#progress = saved;
    return outcome;
  }

  /**
   * The gradient, then the update unless the loss or the gradient is at fault. Progress changes only at the end, so that an
   * interrupted step has not happened.
   */
  async #stepNow(): Promise<Outcome> {
    const { trainer, data, inspect } = this.#parts;
    const before = this.#progress;
    const start = performance.now();
    const stepData = data.stepData(before.step);
    const found = await this.#work.stepGradient(before.step, stepData, this.#stepSeconds, this.#clock.poll);
    if (found === undefined) return 'interrupted';
    const { loss, gradNorm } = inspect?.(before, found, trainer) ?? found;

    const { learningRate, matrixLearningRate } = this.#learningRatesAt(before.step);
    const skipped: Skipped | undefined =
      found === NOTHING_COUNTED ? 'no counted target' : faultOf(before.health, loss, gradNorm);
    if (skipped === undefined) await this.#work.update(before.updates, learningRate, matrixLearningRate);
    const after = afterOptimizerStep(before, loss, skipped);
    const fault =
      skipped !== 'no counted target' && after.health.skipped >= SKIPS_TO_DIVERGE ? skipped : undefined;
    if (fault === undefined) await this.#work.finishStep(after.step);
    const seconds = this.#timeStep(start);

    let cause: DivergenceCause | undefined;
    if (fault !== undefined) {
      cause = await this.#explain(fault, before.step);
      if (cause === undefined) return 'interrupted';
    }
    this.#progress = after;
    await this.#emit({ type: 'step', step: after.step, loss, gradNorm, learningRate, skipped, seconds });
    if (cause !== undefined) return cause;
    this.#progress = scheduled(after, this.#settings);
    return 'done';
  }

  /** Losses on samples of both splits; the better of weights and average becomes the best model if it beats the last one. */
  async #evaluate(): Promise<Outcome> {
    const { data, evaluated } = this.#parts;
    const trainLoss = await this.#work.meanLoss('weights', data.trainSample(), this.#clock.poll, (tokens) =>
      evaluated?.(tokens, 'sample'),
    );
    if (trainLoss === undefined) return 'interrupted';
    const validation = await this.#validationLosses();
    if (validation === undefined) return 'interrupted';
    const { validationLoss } = validation;
    const before = this.#progress;
    let cause: DivergenceCause | undefined;
    if (!Number.isFinite(trainLoss) || !Number.isFinite(validationLoss)) {
      cause = await this.#explain('evaluation not finite', before.step - 1);
      if (cause === undefined) return 'interrupted';
    }
    const losses = { trainLoss, ...validation };
    const after = afterEvaluation(before, losses, this.#settings);
    const best = after.bestLoss < before.bestLoss;
    this.#progress = after;
    await this.#emit({ type: 'evaluation', step: after.step, ...losses, best, progress: after });
    return cause ?? 'done';
  }

  /** Losses of the weights and of their average on the validation sample; undefined if the evaluation was interrupted. */
  async #validationLosses(): Promise<Omit<EvaluationLosses, 'trainLoss'> | undefined> {
    const { trainer, data, evaluated } = this.#parts;
    const lossOf = (model: Evaluated): Promise<number | undefined> =>
      this.#work.meanLoss(model, data.validationSample(), this.#clock.poll, (tokens) =>
        evaluated?.(tokens, 'sample'),
      );
    const weightsLoss = await lossOf('weights');
    if (weightsLoss === undefined) return undefined;
    if (trainer.average === undefined) return { validationLoss: weightsLoss, averaging: undefined };
    const averageLoss = await lossOf('average');
    if (averageLoss === undefined) return undefined;
    const averaging = { weightsLoss, averageLoss };
    return { validationLoss: isAverageBetter(averaging) ? averageLoss : weightsLoss, averaging };
  }

  /**
   * Finds the cause of a fault. Progress is not updated until then, so that an interrupted search is repeated on resuming.
   *
   * @param step the last step attempted, counted from 0
   * @returns undefined if it was interrupted
   */
  async #explain(fault: DivergenceCause['fault'], step: number): Promise<DivergenceCause | undefined> {
    const { data } = this.#parts;
    const found = await unlessStopped(this.#work.findFault(step, data.stepData(step)), this.#clock.poll);
    return found && { fault, tensor: found.value };
  }

  /** Rolls back to the last good checkpoint; returns false after too many rollbacks. */
  async #rollBack(cause: DivergenceCause): Promise<boolean> {
    const { restore } = this.#parts;
    const { step: from, bestLoss, bestStep, isBestAverage, goodStep, health } = this.#progress;
    if (restore === undefined || health.rollbacks >= MAX_ROLLBACKS) return false;
    const restored = await restore(goodStep);
    const best = { bestLoss, bestStep, isBestAverage };
    const progress = { ...restored, ...best, health: afterRollback(restored.health, health) };
    this.#progress = progress;
    await this.#emit({ type: 'rollback', from, to: progress.step, cause, progress });
    return true;
  }

  /** The step needs a checkpoint of its own; evaluations always have one. */
  async #isCheckpointDue(): Promise<boolean> {
    const { step, goodStep, evaluationDue } = this.#progress;
    if (evaluationDue) return false;
    const { steps = Infinity } = saveInterval(this.#settings.saveEvery);
    return goodStep === step || step % steps === 0 || (await this.#clock.isCheckpointOld(this.#settings));
  }

  #checkpoint(): Promise<void> {
    return this.#emit({ type: 'checkpoint', progress: this.#progress });
  }

  /** The end of the run, with the loss of the best model on the whole validation split. */
  async #evaluateWhole({ reason, cause }: Pick<RunEnd, 'reason' | 'cause'>): Promise<RunEnd> {
    const { data, loadBest, evaluated } = this.#parts;
    const end = { type: 'end', progress: this.#progress, cause } as const;
    if (data.wholeValidation === undefined || (reason !== 'finished' && reason !== 'stopped early'))
      return { ...end, reason, validationLoss: undefined };
    loadBest?.(); // after the last checkpoint, the parameters in memory are no longer needed
    await this.#work.parametersReplaced();
    const validationLoss = await this.#work.meanLoss(
      'weights',
      data.wholeValidation(),
      this.#clock.poll,
      (tokens) => evaluated?.(tokens, 'whole'),
    );
    return { ...end, reason: validationLoss === undefined ? 'interrupted' : reason, validationLoss };
  }

  /** Passes an event to all sinks. After steps and evaluations, a run with a time limit adjusts its length. */
  async #emit(event: TrainEvent): Promise<void> {
    this.#clock.eventReached(event.type);
    if ((event.type === 'step' || event.type === 'evaluation') && this.#ahead.length === 0)
      this.#settings = await this.#clock.adjustLength(this.#settings, event.step);
    for (const sink of this.#parts.sinks) await sink(event, this.#settings);
    this.#clock.eventHandled(event.type);
  }
}
