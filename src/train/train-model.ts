/** A whole training run, from text files to a model folder: what `gpt train` does, without a terminal. */
import { createRun, openCheckpoint, type Run } from '../checkpoint/runs.ts';
import type { TrainerState } from '../checkpoint/trainer-state.ts';
import { checkLength, randomBatches, sampleBatches, wholeBatches } from '../data/batches.ts';
import { Layout } from '../engine/memory.ts';
import { chooseBackend } from '../engine/backend.ts';
import { profileOf, type KernelProfile } from '../engine/profile.ts';
import { defaultThreads, type Rejection } from '../engine/wasm.ts';
import { UsageError, UserError } from '../errors.ts';
import { Decoder } from '../generate/decoder.ts';
import { generate } from '../generate/generate.ts';
import { checkConfig, type ModelConfig } from '../model/config.ts';
import { countParameters } from '../model/parameters.ts';
import { bannedIds, type Tokenizer } from '../tokenizer/tokenizer.ts';
import {
  freshProgress,
  train,
  type EndReason,
  type LoopData,
  type Progress,
  type TrainEvent,
} from './loop.ts';
import { checkMemory, memoryLimit } from './memory.ts';
import { trainingPrograms } from './programs.ts';
import { readTrainingData, type CorpusDescription, type TrainingData } from './training-data.ts';
import {
  optimizerOptions,
  resumedOptions,
  settle,
  type Settings,
  type TrainModelOptions,
} from './settings.ts';
import { Trainer } from './trainer.ts';

/** What is going to happen, known before step 0. */
export interface TrainPlan {
  readonly settings: Settings;
  readonly corpus: CorpusDescription;
  readonly tokens: { readonly train: number; readonly validation: number; readonly unknown: number };
  readonly tokenizer: Tokenizer;
  readonly config: ModelConfig;
  /** Steps done already, if the run goes on from a checkpoint. */
  readonly startStep: number;
  readonly parameters: number;
  readonly memoryBytes: number;
  readonly tokensPerStep: number;
  readonly epochs: number;
  /** The engine that runs it: 'wasm revectorize, 2 threads'. */
  readonly backend: string;
  /** Faster engines that do not work here, and why. */
  readonly rejected: readonly Rejection[];
  /** What guessing costs: ln V nats per token. */
  readonly uniformLoss: number;
}

export interface TrainHandlers {
  readonly plan?: (plan: TrainPlan) => void;
  readonly event?: (event: TrainEvent) => void;
  /** A sample of what the model writes, after an evaluation. */
  readonly sample?: (text: string, step: number) => void;
  /** Polled between steps; true ends the run after saving a checkpoint. */
  readonly interrupted?: () => boolean;
}

export interface TrainResult {
  readonly folder: string;
  readonly reason: EndReason;
  readonly progress: Progress;
  /** Nats per token over the whole validation split, of the final parameters. */
  readonly validationLoss: number | undefined;
  /** Where the time of the steps went, if TrainModelOptions.profile asked. */
  readonly profile: TrainProfile | undefined;
}

export interface TrainProfile {
  readonly steps: number;
  readonly tokensPerStep: number;
  /** Wall time of all steps. */
  readonly seconds: number;
  readonly kernels: readonly KernelProfile[];
}

/**
 * Trains a model on text and leaves it in a model folder.
 *
 * @throws UserError for what the user can mend: no text, options that do not fit each other, a folder that is taken
 */
export async function trainModel(
  options: TrainModelOptions,
  handlers: TrainHandlers = {},
): Promise<TrainResult> {
  const checkpoint = options.resume === undefined ? undefined : openCheckpoint(options.resume);
  const effective = checkpoint === undefined ? options : resumedOptions(checkpoint.state.options, options);
  const data = readTrainingData(effective, checkpoint?.model.tokenizer);
  const settings = { ...settle(effective, data.train.length), tokenizer: data.tokenizer.kind };
  if (checkpoint !== undefined) checkResume(checkpoint.state, data, settings, options.force === true);
  const { nLayer, nHead, nEmbd, blockSize, dropout, activation, positions, norm, layerNormEpsilon } =
    settings;
  const shape = { nLayer, nHead, nEmbd, blockSize, dropout, activation, positions, norm, layerNormEpsilon };
  const config = checkConfig({ ...shape, vocabSize: data.tokenizer.vocabSize });
  checkLength(data.train, config.blockSize);
  if (data.validation.length > 0 && data.validation.length < 2)
    throw new UsageError('the validation text is a single token', { hint: 'use a larger --val-fraction' });

  const trainingShape = {
    config,
    batchSize: settings.batchSize,
    microBatches: settings.gradientAccumulationSteps,
    optimizer: settings.optimizer,
  };
  const programs = trainingPrograms(trainingShape);
  const threads = options.threads ?? defaultThreads();
  checkMemory(trainingShape, 4 * programs.end, memoryLimit(threads));
  const { backend, rejected } = await chooseBackend({ threads, profile: options.profile === true });
  try {
    const trainer = new Trainer(backend, programs, optimizerOptions(settings), settings.seed);
    if (checkpoint !== undefined) {
      checkpoint.model.load(trainer.parameters());
      checkpoint.loadMoments(trainer.moments());
    }
    const run =
      checkpoint?.continue() ??
      createRun(settings.outDir, config, data.tokenizer, { overwrite: options.overwrite === true });
    const tokensPerStep = settings.batchSize * config.blockSize * settings.gradientAccumulationSteps;
    handlers.plan?.({
      settings,
      corpus: data.corpus,
      tokens: { train: data.train.length, validation: data.validation.length, unknown: data.unknown },
      tokenizer: data.tokenizer,
      config,
      startStep: checkpoint?.state.step ?? 0,
      parameters: countParameters(config),
      memoryBytes: 4 * programs.end,
      tokensPerStep,
      epochs: (settings.maxIters * tokensPerStep) / data.train.length,
      backend: backend.name,
      rejected,
      uniformLoss: Math.log(config.vocabSize),
    });

    const preview = (step: number): void => {
      if (settings.sampleTokens === 0 || handlers.sample === undefined) return;
      const decoder = new Decoder(backend, programs.model, new Layout(programs.end));
      const sampling = { temperature: 0.8, topK: 0, topP: 1, maxTokens: settings.sampleTokens };
      const banned = bannedIds(data.tokenizer);
      const prompt = data.validation.length > 0 ? data.validation : data.train;
      const ids = [
        ...generate(decoder, prompt.slice(0, 1), { ...sampling, seed: settings.seed, sample: step, banned }),
      ];
      const text = data.tokenizer.decode(ids);
      run.log('samples', { step, text });
      handlers.sample(text, step);
    };
    const keep = keeper(run, trainer, { settings, data, tokensPerStep });
    let validationLoss: number | undefined;
    let progress: Progress | undefined;
    let stepSeconds = 0;
    let steps = 0;
    const reason = await train(
      trainer,
      loopData(data, settings, config.blockSize),
      { ...settings, minLearningRate: settings.minLr, decayIters: settings.lrDecayIters },
      (event) => {
        keep(event);
        if (event.type === 'step') {
          stepSeconds += event.seconds;
          steps++;
        }
        handlers.event?.(event);
        if (event.type === 'evaluation') preview(event.step);
        if (event.type === 'end') ({ validationLoss, progress } = event);
      },
      {
        progress: checkpoint === undefined ? freshProgress : progressOf(checkpoint.state),
        interrupted: handlers.interrupted ?? (() => false),
      },
    );
    const profile = options.profile
      ? { steps, tokensPerStep, seconds: stepSeconds, kernels: profileOf(trainer.timings()) }
      : undefined;
    return { folder: run.folder, reason, progress: progress!, validationLoss, profile };
  } finally {
    await backend.close();
  }
}

/** @throws UserError if the run cannot go on: it is done, or its corpus is another */
function checkResume(state: TrainerState, data: TrainingData, settings: Settings, force: boolean): void {
  if (state.step >= settings.maxIters)
    throw new UsageError(`the run has done its ${state.step} steps`, {
      hint: 'give a larger --max-iters to go on with it',
    });
  if (state.corpus_sha256 !== data.corpus.sha256 && !force)
    throw new UserError(`${data.corpus.files.join(', ')} is not the text the run was started with`, {
      hint: 'name the same files, or use --force to go on with these',
    });
}

const progressOf = (state: TrainerState): Progress => ({
  step: state.step,
  bestLoss: state.best_loss ?? Infinity,
  bestStep: state.best_step,
  worse: state.evaluations_without_improvement,
});

/** Batches of a run; without a validation split, evaluations look at the training split alone. */
function loopData({ train: tokens, validation }: TrainingData, settings: Settings, T: number): LoopData {
  const shape = { B: settings.batchSize, T };
  const judged = validation.length > 0 ? validation : tokens;
  return {
    batches: (step) =>
      randomBatches(tokens, shape, {
        seed: settings.seed,
        step,
        microBatches: settings.gradientAccumulationSteps,
      }),
    trainSample: () => sampleBatches(tokens, shape, settings.evalIters),
    validationSample: () => sampleBatches(judged, shape, settings.evalIters),
    wholeValidation: () =>
      validation.length > 0 ? wholeBatches(judged, shape) : sampleBatches(judged, shape, settings.evalIters),
  };
}

/** About so many lines say how fast a run was. */
const SPEED_LINES = 200;

/** Saves what each event calls for: the best model and a checkpoint at evaluations, a last checkpoint at the end. */
function keeper(
  run: Run,
  trainer: Trainer,
  { settings, data, tokensPerStep }: { settings: Settings; data: TrainingData; tokensPerStep: number },
): (event: TrainEvent) => void {
  const saveCheckpoint = (progress: Progress): void =>
    run.saveCheckpoint(trainer.parameters(), trainer.moments(), {
      step: progress.step,
      best_step: progress.bestStep,
      best_loss: Number.isFinite(progress.bestLoss) ? progress.bestLoss : null,
      evaluations_without_improvement: progress.worse,
      tokens_seen: progress.step * tokensPerStep,
      seed: settings.seed,
      corpus_sha256: data.corpus.sha256,
      options: { ...settings },
    });
  // Times go to a log of their own: everything else a run leaves is the same, byte for byte, whenever it is repeated.
  const speedInterval = Math.ceil(settings.maxIters / SPEED_LINES);
  let seconds = 0;
  let steps = 0;
  return (event) => {
    switch (event.type) {
      case 'step':
        seconds += event.seconds;
        steps++;
        if (event.step % speedInterval === 0 || event.step === settings.maxIters) {
          run.log('speed', { step: event.step, seconds, tokens: steps * tokensPerStep });
          seconds = steps = 0;
        }
        run.log('metrics', {
          step: event.step,
          loss: event.loss,
          lr: event.learningRate,
          grad_norm: event.gradNorm,
        });
        return;
      case 'evaluation':
        run.log('metrics', { step: event.step, train_loss: event.trainLoss, val_loss: event.validationLoss });
        if (event.best)
          run.saveBest(trainer.parameters(), {
            step: String(event.step),
            val_loss: String(event.validationLoss),
          });
        saveCheckpoint(event.progress);
        return;
      case 'end':
        if (event.progress.bestStep === 0)
          // never evaluated: the last is the best there is
          run.saveBest(trainer.parameters(), { step: String(event.progress.step) });
        saveCheckpoint(event.progress);
        return;
      default:
        event satisfies never;
    }
  };
}
