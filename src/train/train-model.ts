/** A whole training run, from text files to a model folder: what `gpt train` does, without a terminal. */
import { basename, join } from 'node:path';
import { createRun, resumeRun, type ResumedRun, type Run } from '../checkpoint/run.ts';
import { makeRunFolder, resolveRun } from '../checkpoint/runs.ts';
import { SIGNAL_POLL_SECONDS, startPolling } from '../polling.ts';
import { checkLength, randomStep, sampleBatches, wholeBatches } from '../data/batches.ts';
import type { Replacements } from '../data/replacements.ts';
import { Layout } from '../engine/memory.ts';
import { lazyBackend, type LazyBackend } from '../engine/backend.ts';
import { profileOf, type KernelProfile } from '../engine/profile.ts';
import { defaultThreads, type Rejection } from '../engine/wasm.ts';
import { isSystemError, optionName, UsageError, UserError } from '../errors.ts';
import { Decoder } from '../generate/decoder.ts';
import { generate } from '../generate/generate.ts';
import type { ModelConfig } from '../model/config.ts';
import { countParameters } from '../model/parameters.ts';
import type { Report } from '../reporting.ts';
import { shellQuoted } from '../shell-quote.ts';
import { bannedIds, type Tokenizer } from '../tokenizer/tokenizer.ts';
import {
  freshProgress,
  train,
  type EndReason,
  type LoopData,
  type LoopHooks,
  type LoopOptions,
  type Progress,
  type TrainEvent,
  type Why,
} from './loop.ts';
import { budgetSeconds, expectSeconds, fitMore, fitToBudget, moreSeconds } from './budget.ts';
import { examplePrompt } from './example-prompt.ts';
import { recipes } from './recipe.ts';
import { extendRun } from './extension.ts';
import { checkMemory, memoryLimit } from './memory.ts';
import { evaluationBatchSize, trainingPrograms } from './programs.ts';
import { timeForTraining } from './run-time.ts';
import { changeSchedule } from './schedule-history.ts';
import { checkResume, keeper, restore, type SaveFailure } from './saving.ts';
import { readTrainingData, type CorpusDescription, type TrainingData } from './training-data.ts';
import { saveInterval } from './save-every.ts';
import {
  modelConfig,
  optimizerOptions,
  scheduleOptions,
  resolveOptions,
  withCanonicalEncoding,
  type Settings,
  type TrainModelOptions,
} from './settings.ts';
import { forgetOldText, remeasureBest, textChange, type TextChange } from './new-text.ts';
import { openStartingModel } from './starting-model.ts';
import { checkStoredOptions, optionsFromJson, resumedOptions } from './stored-options.ts';
import { TimeKeeper, wholePerSample } from './time-keeper.ts';
import { Trainer } from './trainer.ts';

/** What is going to happen, known before step 0. */
export interface TrainPlan {
  readonly settings: Settings;
  /** Where the run is written. */
  readonly folder: string;
  readonly corpus: CorpusDescription;
  /** The text of --val-file, if there is one. */
  readonly validationCorpus: CorpusDescription | undefined;
  readonly tokens: { readonly train: number; readonly validation: number; readonly unknown: number };
  /** Of the corpus and of the validation file; none of a token file. */
  readonly replacements: readonly Replacements[];
  readonly tokenizer: Tokenizer;
  readonly config: ModelConfig;
  /** Whether a run is resumed, which keeps most of its options. */
  readonly isResumed: boolean;
  /** Steps done already, if the run goes on from a checkpoint. */
  readonly startStep: number;
  /** Steps of the run before it was resumed: fewer than those of `settings` if it is extended now. */
  readonly plannedIters: number;
  readonly parameters: number;
  readonly memoryBytes: number;
  readonly tokensPerStep: number;
  readonly epochs: number;
  /** How long it is going to take here, in seconds; undefined if that is too short to be worth finding out. */
  readonly expectedSeconds: number | undefined;
  /** The engine that runs it: 'wasm revectorize, 2 threads'. */
  readonly backend: string;
  /** The kernels that ran it before, if it goes on with others: their results differ in rounding. */
  readonly otherEngine: string | undefined;
  /** How the text differs from the one a resumed run was trained on so far; see new-text.ts. */
  readonly textChange: TextChange | undefined;
  /** Files of a resumed run that were missing or damaged, and what became of them. */
  readonly repairs: readonly string[];
  /** Faster engines that do not work here, and why. */
  readonly rejected: readonly Rejection[];
  /** Why fewer threads have started than were asked for. */
  readonly shortfall: string | undefined;
  /** What guessing costs: ln V nats per token. */
  readonly uniformLoss: number;
}

export interface TrainHandlers {
  /** When the run was asked for, in milliseconds of `performance.now()`: its minutes are counted from there. Default: the call. */
  readonly asked?: number;
  /** Before the plan: how far reading and tokenizing the text have come. */
  readonly preparing?: Report;
  /** Before the plan: the speed of this machine is going to be measured, which takes a second or more. */
  readonly measuring?: () => void;
  readonly plan?: (plan: TrainPlan) => void;
  /** A run that is fitted to a time has come to know better how many steps that is. */
  readonly refitted?: (maxIters: number) => void;
  readonly event?: (event: TrainEvent) => void;
  /** A sample of what the model writes, after an evaluation. */
  readonly sample?: (text: string, step: number) => void;
  /** A checkpoint could not be written; training goes on. */
  readonly notSaved?: (failure: SaveFailure) => void;
  /** The evaluation of the whole validation split, at the end, has come so far; 0 … 1. */
  readonly evaluated?: (done: number) => void;
  /** Polled several times a second while the model is trained; true ends the run after saving a checkpoint. */
  readonly interrupted?: LoopHooks['interrupted'];
  /** See LoopHooks. */
  readonly inspect?: LoopHooks['inspect'];
}

export interface TrainResult {
  readonly folder: string;
  readonly reason: EndReason;
  readonly progress: Progress;
  /** Nats per token over the whole validation split, of the model that is kept; undefined without such a split. */
  readonly validationLoss: number | undefined;
  /** A few words of the text, to try the model with; undefined if it has none that the model knows. */
  readonly examplePrompt: string | undefined;
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
 * @throws UserError for what the user can mend: no text, options that do not fit each other, a folder that is taken; and
 * if training diverges or its end cannot be saved
 */
export async function trainModel(
  given: TrainModelOptions,
  handlers: TrainHandlers = {},
): Promise<TrainResult> {
  const options = withCanonicalEncoding(given);
  if (options.resume !== undefined && (options.outDir !== undefined || options.overwrite === true))
    throw new UsageError(
      'conflicting-options',
      `${optionName(options.outDir === undefined ? 'overwrite' : 'outDir')} does not go with ${optionName('resume')}`,
      {
        hint: 'a run goes on in its own folder; to keep what is there, resume a copy of it',
      },
    );
  const { asked = performance.now() } = handlers;
  const resumed = options.resume === undefined ? undefined : resumeRun(resolveRun(options.resume));
  const engine = lazyBackend({
    threads: options.threads ?? defaultThreads(),
    profile: options.profile === true,
  });
  try {
    return await runTraining(options, handlers, engine, asked, resumed);
  } finally {
    resumed?.close();
    await engine.close();
  }
}

async function runTraining(
  options: TrainModelOptions,
  handlers: TrainHandlers,
  engine: LazyBackend,
  asked: number,
  resumed?: ResumedRun,
): Promise<TrainResult> {
  const checkpoint = resumed?.checkpoint;
  if (checkpoint !== undefined) checkStoredOptions(checkpoint);
  const start = checkpoint === undefined ? openStartingModel(options) : undefined;
  const effective =
    checkpoint === undefined
      ? (start?.options ?? options)
      : resumedOptions(checkpoint.state.options, options);
  const data =
    checkpoint === undefined
      ? readTrainingData(effective, start?.tokenizer, handlers.preparing)
      : readTextAgain(effective, checkpoint.model.tokenizer, options.corpus.length > 0, handlers.preparing);
  const startStep = checkpoint?.state.step ?? 0;
  const seconds = checkpoint === undefined ? budgetSeconds(effective) : moreSeconds(options);
  if (seconds !== undefined) handlers.measuring?.();
  const before = checkpoint && resolveOptions(optionsFromJson(checkpoint.state.options));
  const fitted =
    seconds === undefined
      ? undefined
      : before === undefined
        ? await fitToBudget(effective, data, { seconds, asked, engine })
        : await fitMore(effective, data, { seconds, asked, engine, startStep, before, given: options });
  const { maxIters = 0 } = options;
  const planned =
    fitted?.options ??
    (before !== undefined && maxIters > before.maxIters
      ? extendRun(effective, before, { step: startStep, maxIters, isTimed: false, given: options })
      : effective);
  const { valFraction } = data;
  const chosen: Settings = {
    ...resolveOptions({ ...planned, valFraction }),
    tokenizer: data.tokenizer.kind,
  };
  const settings = before === undefined ? chosen : changeSchedule(before, chosen, startStep);
  const loopOptions = loopOptionsOf(settings);
  const change = checkpoint && textChange(checkpoint.state, data, settings);
  if (resumed !== undefined) checkResume(resumed, data, settings, { force: options.force === true, change });
  const config = modelConfig(settings, data.tokenizer.vocabSize);
  checkLength(data.train, config.blockSize);
  if (data.validation.length > 0 && data.validation.length < 2)
    throw new UsageError('text-too-short', 'the validation text is a single token', {
      hint:
        settings.valFile !== undefined
          ? 'use a longer --val-file'
          : data.train.length - 1 > config.blockSize
            ? 'use a larger --val-fraction'
            : 'use a longer text, or --val-fraction 0 to train on all of it',
    });

  const trainingShape = {
    config,
    batchSize: settings.batchSize,
    microBatches: settings.gradientAccumulationSteps,
    optimizer: settings.optimizer,
  };
  const programs = trainingPrograms(trainingShape);
  checkMemory(trainingShape, 4 * programs.end, memoryLimit(engine.threads));
  const expectedSeconds =
    (seconds !== undefined && fitted !== undefined
      ? timeForTraining(seconds, fitted.costs.last)
      : undefined) ??
    (await expectSeconds(trainingShape, programs, settings.maxIters - startStep, engine, handlers.measuring));
  const { backend, rejected } = await engine.open();
  let opened: Run | undefined;
  try {
    const trainer = new Trainer(backend, programs, optimizerOptions(settings), settings.seed);
    start?.load(trainer.parameters());
    const progress = checkpoint === undefined ? freshProgress : restore(trainer, checkpoint);
    const run =
      resumed?.continue(config) ??
      createRun(options.outDir ?? makeRunFolder(options.corpus[0]), config, data.tokenizer, {
        overwrite: options.overwrite === true,
      });
    opened = run;
    const { folder } = run;
    const arithmetic = engineOf(backend.name);
    const tokensPerStep = settings.batchSize * config.blockSize * settings.gradientAccumulationSteps;
    handlers.plan?.({
      settings,
      folder,
      corpus: data.corpus,
      validationCorpus: data.validationCorpus,
      tokens: { train: data.train.length, validation: data.validation.length, unknown: data.unknown },
      replacements: data.replacements,
      tokenizer: data.tokenizer,
      config,
      isResumed: checkpoint !== undefined,
      startStep: progress.step,
      plannedIters: before?.maxIters ?? settings.maxIters,
      parameters: countParameters(config),
      memoryBytes: 4 * programs.end,
      tokensPerStep,
      epochs: (settings.maxIters * tokensPerStep) / data.train.length,
      expectedSeconds,
      backend: backend.name,
      otherEngine:
        checkpoint === undefined || sameBits(checkpoint.state.engine, arithmetic)
          ? undefined
          : checkpoint.state.engine,
      textChange: change,
      repairs: resumed?.repairs ?? [],
      rejected,
      shortfall: backend.shortfall,
      uniformLoss: Math.log(config.vocabSize),
    });

    let decoder: Decoder | undefined; // one for all previews: what a backend has loaded stays in its memory
    const interrupted = handlers.interrupted ?? (() => false);
    const preview = async (step: number): Promise<void> => {
      if (settings.sampleTokens === 0 || handlers.sample === undefined) return;
      decoder ??= new Decoder(backend, programs.model, new Layout(programs.end));
      const sampling = { temperature: 0.8, topK: 0, topP: 1, maxTokens: settings.sampleTokens };
      const banned = bannedIds(data.tokenizer);
      const prompt = data.validation.length > 0 ? data.validation : data.train;
      const stop = data.tokenizer.special.endIds;
      const drawing = { ...sampling, seed: settings.seed, sample: step, banned, stop };
      const ids: number[] = [];
      const poll = startPolling(interrupted, SIGNAL_POLL_SECONDS);
      for (const id of generate(decoder, prompt.slice(0, 1), drawing)) {
        if (await poll()) return; // half a sample is none
        ids.push(id);
      }
      const text = data.tokenizer.decode(ids);
      run.log('samples', { step, text });
      handlers.sample(text, step);
    };
    const clock =
      fitted && seconds !== undefined
        ? new TimeKeeper({
            asked,
            seconds,
            expected: fitted.costs,
            wholePerSample: wholePerSample(settings, {
              train: data.train.length,
              validation: data.validation.length,
            }),
          })
        : undefined;
    /** Sets the length of a run that is fitted to a time anew. */
    const keepTime = (step: number): void => {
      const next = clock?.refitted(settings, step);
      if (next === undefined) return;
      // What is saved from here on, and what the loop goes by, are these options: a run that resumes has them too.
      Object.assign(settings, next);
      Object.assign(loopOptions, loopOptionsOf(settings));
      handlers.refitted?.(settings.maxIters);
    };
    const keep = keeper(
      run,
      { trainer, settings, data, tokensPerStep, engine: arithmetic },
      handlers.notSaved ?? (() => {}),
    );
    // What training may have to go back to is in the run, wherever the model is by then.
    if (start !== undefined) keep.handle({ type: 'checkpoint', progress });
    const batches = loopData(data, settings, config.blockSize);
    let first: Progress | undefined = progress;
    if (checkpoint !== undefined && change !== undefined) {
      first = await remeasureBest(trainer, progress, change, {
        best: keep,
        validationSample: batches.validationSample(),
        poll: startPolling(interrupted, SIGNAL_POLL_SECONDS),
      });
      restore(trainer, checkpoint);
    }
    let end: (TrainEvent & { type: 'end' }) | undefined;
    let stepSeconds = 0;
    let steps = 0;
    await train(
      trainer,
      batches,
      loopOptions,
      async (event) => {
        clock?.started(event.type);
        if (event.type === 'step' || event.type === 'evaluation') keepTime(event.step);
        keep.handle(event);
        if (event.type === 'step') {
          stepSeconds += event.seconds;
          steps++;
        }
        handlers.event?.(event);
        if (event.type === 'evaluation') await preview(event.step);
        if (event.type === 'end') end = event;
        clock?.handled(event.type);
      },
      {
        interrupted: first === undefined ? () => true : interrupted,
        inspect: handlers.inspect,
        restore: (step) => {
          const earlier = run.rollBack(step);
          const there = restore(trainer, earlier);
          // It may be from before the text changed. The loop keeps the best loss, which is of the new text by then.
          const since = earlier && textChange(earlier.state, data, settings);
          return since === undefined ? there : forgetOldText(there, since, there.bestLoss);
        },
        loadBest: keep.loadBest,
        evaluated: (tokens) => handlers.evaluated?.(tokens / (data.validation.length - 1)),
      },
      first ?? progress,
    );
    const { reason, validationLoss, why, progress: last } = end!;
    if (why !== undefined) throw diverged(folder, last, why, settings);
    const profile = options.profile
      ? { steps, tokensPerStep, seconds: stepSeconds, kernels: profileOf(await trainer.timings()) }
      : undefined;
    return {
      folder,
      reason,
      progress: last,
      validationLoss,
      examplePrompt: examplePrompt(data.validation.length > 0 ? data.validation : data.train, data.tokenizer),
      profile,
    };
  } finally {
    opened?.close();
  }
}

const loopOptionsOf = (settings: Settings): LoopOptions => ({
  ...settings,
  ...scheduleOptions(settings),
  saveEvery: saveInterval(settings.saveEvery),
});

/** @throws UserError that says how to name them, if the files of a run are not where they were */
function readTextAgain(
  options: TrainModelOptions,
  tokenizer: Tokenizer,
  isNamed: boolean,
  report?: Report,
): TrainingData {
  if (!isNamed && options.corpus.includes('-'))
    throw new UserError('text-unavailable', 'the text of this run came from stdin', {
      hint: `pipe the same text in again: cat corpus.txt | gpt train - --resume ${shellQuoted(options.resume!)}`,
    });
  try {
    return readTrainingData(options, tokenizer, report);
  } catch (error) {
    if (!isSystemError(error) || error.code !== 'ENOENT') throw error;
    throw new UserError('text-unavailable', `${error.path ?? 'a file'}, a text of this run, is not there`, {
      hint: `say where it is now: ${withTextMoved(options, error.path)}`,
    });
  }
}

/** The command that resumes a run whose text has moved, but for the folder it is in now. */
function withTextMoved({ corpus, valFile, resume }: TrainModelOptions, missing: string | undefined): string {
  const found = (path: string): string =>
    shellQuoted(path === missing ? join('path', 'to', basename(path)) : path);
  const run = `--resume ${shellQuoted(resume!)}`;
  return valFile !== undefined && valFile === missing
    ? `gpt train ${run} --val-file ${found(valFile)}`
    : `gpt train ${corpus.map(found).join(' ')} ${run}`;
}

/** The kernels' build without the number of threads, which changes no bit: 'wasm revectorize'. */
const engineOf = (backend: string): string => backend.replace(/,.*/, '');

/** Builds that give the same bits: both multiply and add in one rounding. test/train/trainer.test.ts compares them. */
const FUSED: ReadonlySet<string> = new Set(['wasm revectorize', 'wasm relaxed']);
const sameBits = (a: string, b: string): boolean => a === b || (FUSED.has(a) && FUSED.has(b));

/** Far below what was tried: each return to a checkpoint has halved the learning rate. */
const AFTER_DIVERGENCE = 0.1;

function diverged(
  folder: string,
  { step, bestStep, goodStep, health }: Progress,
  why: Why,
  { learningRate, preset }: Settings,
): UserError {
  const rate = Math.min(AFTER_DIVERGENCE * learningRate, recipes[preset].learningRate);
  const lower = `--learning-rate ${Number(rate.toPrecision(2))}`;
  const best = bestStep > 0 ? `the best model, of step ${bestStep}, is in ${folder}; ` : '';
  const next =
    goodStep > 0
      ? `resume from step ${goodStep} at a lower rate: gpt train --resume ${shellQuoted(folder)} --force ${lower}`
      : `start again with ${lower} or a longer --warmup-iters`;
  return new UserError(
    'training-diverged',
    `training diverged at step ${step}, after going back ${health.rollbacks} times: ${why.fault}; ${why.tensor}`,
    { hint: best + next },
  );
}

/** Batches of a run; without a validation split, evaluations look at the training split alone. */
function loopData({ train: tokens, validation }: TrainingData, settings: Settings, T: number): LoopData {
  const shape = { B: settings.batchSize, T };
  const evaluationShape = { B: evaluationBatchSize(settings.batchSize, T), T };
  const sampleSize = settings.evalIters * settings.batchSize;
  const judged = validation.length > 0 ? validation : tokens;
  return {
    stepData: (step) =>
      randomStep(tokens, shape, {
        seed: settings.seed,
        step,
        microBatches: settings.gradientAccumulationSteps,
      }),
    trainSample: () => sampleBatches(tokens, evaluationShape, sampleSize),
    validationSample: () => sampleBatches(judged, evaluationShape, sampleSize),
    wholeValidation: validation.length > 0 ? () => wholeBatches(validation, evaluationShape) : undefined,
  };
}
