/**
 * Runs with a time limit instead of a number of steps: everything else, from the model to the number of steps, is chosen from
 * the corpus, the speed of this computer and the time. The choices become options, which reproduce the run.
 */
import { lazyBackend, type LazyBackend } from '../engine/backend.ts';
import { gpuMemoryLimit } from '../engine/device-choice.ts';
import { UsageError } from '../errors.ts';
import { optionName } from '../messages.ts';
import { gpt2Defaults } from '../model/architectures/gpt2.ts';
import { checkTraining } from './check-text.ts';
import { chooseModel, maxSteps, type ComputeFor } from './choose-model.ts';
import { EVALUATION_SHARE, expectedCosts, FORWARD_SHARE } from './expected-costs.ts';
import { extendRun } from './extension.ts';
import { gpuCompute } from './gpu-compute.ts';
import { checkMemory, checkStateMemory, memoryLimits, memoryNeed } from './memory.ts';
import { DECAY_SHARE } from './options/learning-rate.ts';
import { trainingPrograms } from './programs.ts';
import { splitBatch, splitEvaluations } from './ranks/split-batch.ts';
import { stepsWithin, timeForTraining, type Costs } from './run-time.ts';
import {
  modelConfig,
  resolveOptions,
  trainingShape,
  type Settings,
  type TrainModelOptions,
} from './settings.ts';
import { CALIBRATION_SECONDS, measureSpeed, type TimedModel } from './timed-training.ts';
import type { TrainingData } from './training-data.ts';

/** Default time limit of a run with neither a length nor a preset. */
const DEFAULT_MINUTES = 3;

/** Time limit of a new run in seconds; undefined if it has a number of steps. */
export function budgetSeconds({ minutes, maxIters, preset }: TrainModelOptions): number | undefined {
  if (minutes !== undefined && maxIters !== undefined)
    throw new UsageError(
      'conflicting-options',
      `${optionName('minutes')} and ${optionName('maxIters')} both set the length of the run`,
      {
        hint: 'use only one of them',
      },
    );
  if (minutes !== undefined) return 60 * minutes;
  return maxIters === undefined && preset === undefined ? 60 * DEFAULT_MINUTES : undefined;
}

/** True if no option sets the size or dropout. A starting model sets the number of layers. */
export const isModelOpen = ({
  preset,
  nLayer,
  nEmbd,
  tieWordEmbeddings,
  dropout,
}: TrainModelOptions): boolean =>
  [preset, nLayer, nEmbd, tieWordEmbeddings, dropout].every((value) => value === undefined);

/** Time limit of a resumed run in seconds, from now on; undefined if none is given. */
export const moreSeconds = ({ minutes }: TrainModelOptions): number | undefined =>
  minutes === undefined ? undefined : 60 * minutes;

/** Evaluations in a run with a time limit. */
const EVALUATIONS = 20;

/** Steps of warm-up: AdamW's second moment needs some to settle, Muon's matrices have none. */
const WARMUP = { muon: 20, others: 100 } as const;

type OptionsForLength = Required<Pick<TrainModelOptions, 'evalInterval' | 'evalIters' | 'warmupIters'>> &
  Pick<TrainModelOptions, 'lrDecayStart'>;

/** The options that follow from the number of steps. */
function optionsForLength(
  maxIters: number,
  { optimizer, schedule }: Pick<Settings, 'optimizer' | 'schedule'>,
): OptionsForLength {
  const evalInterval = Math.max(1, Math.round(maxIters / EVALUATIONS));
  const evalIters = Math.round((EVALUATION_SHARE * evalInterval) / FORWARD_SHARE / 2);
  return {
    evalInterval,
    evalIters: Math.min(Math.max(evalIters, 2), 50),
    warmupIters: Math.min(WARMUP[optimizer === 'muon' ? 'muon' : 'others'], Math.ceil(maxIters / 20)),
    ...(schedule === 'wsd' && { lrDecayStart: Math.floor((1 - DECAY_SHARE) * maxIters) }),
  };
}

/** The steps that fit into `seconds`, with their evaluations. */
const stepsIn = (seconds: number, stepSeconds: number): number =>
  Math.max(1, Math.floor((seconds * (1 - EVALUATION_SHARE)) / stepSeconds));

export interface Fitted {
  /** The options of the run, with a number of steps instead of a time limit. */
  readonly options: TrainModelOptions;
  readonly costs: Costs;
  /** Upper limit on the steps of the whole run, however much time is left. */
  readonly maxSteps: number;
}

/**
 * Upper limit of a measurement, as a fraction of the run's time. A new run makes two: of a small model, from which the size
 * is chosen, and of the model that was chosen.
 */
export const CALIBRATION_SHARE = 0.05;
export const referenceModel: TimedModel = {
  config: { ...gpt2Defaults, nLayer: 4, nHead: 4, nEmbd: 128, blockSize: 128, vocabSize: 96, dropout: 0 },
  batchSize: 6,
  optimizer: 'adamw',
};

/** FLOP/s at which a core of a present-day processor trains a small model. */
const CORE_SPEED = 64e9;
/** A step of a few milliseconds: some of them run undisturbed even where other programs keep every core busy. */
const shortStep: TimedModel = {
  ...referenceModel,
  config: { ...referenceModel.config, blockSize: 64 },
  batchSize: 1,
};

/**
 * Floating-point operations of training in `seconds` on a computer of this kind. The model should not depend on what else the
 * computer is doing, so only a core that is four times slower than usual counts as another kind.
 */
async function flopsIn(seconds: number, threads: number, calibration: number): Promise<number> {
  const oneCore = lazyBackend({ threads: 1 });
  try {
    const { flopsPerSecond } = await measureSpeed(shortStep, oneCore, calibration);
    const timesFour = Math.max(0, Math.floor(Math.log2(CORE_SPEED / flopsPerSecond) / 2));
    return (CORE_SPEED / 4 ** timesFour) * threads * seconds * (1 - EVALUATION_SHARE);
  } finally {
    await oneCore.close();
  }
}

/** The compute budget of a run of `seconds`, on the GPU or on this kind of CPU. */
async function computeIn(
  seconds: number,
  {
    engine,
    ranks,
    calibration,
  }: { readonly engine: LazyBackend; readonly ranks: number; readonly calibration: number },
): Promise<number | ComputeFor> {
  if (gpuMemoryLimit() === undefined) return flopsIn(seconds, ranks * engine.threads, calibration);
  return gpuCompute((await engine.open()).backend, seconds * (1 - EVALUATION_SHARE), ranks);
}

/**
 * The model that would be chosen for a CPU of typical speed in the time of a run; `--device auto` measures both devices with it.
 * Undefined if the options determine the model.
 */
export function usualModel(
  options: TrainModelOptions,
  { train, tokenizer }: Pick<TrainingData, 'train' | 'tokenizer'>,
  threads: number,
): TrainModelOptions | undefined {
  const seconds = budgetSeconds(options);
  if (seconds === undefined || options.preset !== undefined) return undefined;
  const facts = { trainTokens: train.length, vocabSize: tokenizer.vocabSize };
  const given = withoutTime(options);
  const flops = CORE_SPEED * threads * seconds * (1 - EVALUATION_SHARE);
  return { ...chooseModel(facts, flops, given), ...given };
}

interface TimeToFit {
  readonly seconds: number;
  /** Start of the run's time, in milliseconds of `performance.now()`. */
  readonly asked: number;
  readonly engine: LazyBackend;
  /** Processes that share the work, each as fast as this one; default: 1. */
  readonly ranks?: number;
}

/**
 * Completes the options so that the run takes `seconds` on this computer.
 *
 * @throws UsageError for options that conflict with each other or the text, EngineMemoryError if memory is insufficient
 */
export async function fitToBudget(
  options: TrainModelOptions,
  data: Pick<TrainingData, 'train' | 'validation' | 'tokenizer'>,
  {
    seconds,
    engine,
    ranks = 1,
    divisor = ranks,
    asked = performance.now(),
    calibration = Math.min(CALIBRATION_SECONDS, CALIBRATION_SHARE * seconds),
  }: Omit<TimeToFit, 'asked'> & {
    readonly asked?: number;
    readonly calibration?: number;
    /** Divides a chosen batch; default: the ranks. */
    readonly divisor?: number | undefined;
  },
): Promise<Fitted> {
  const facts = { trainTokens: data.train.length, vocabSize: data.tokenizer.vocabSize };
  const given = withoutTime(options);
  const choice =
    options.preset === undefined
      ? chooseModel(facts, await computeIn(seconds, { engine, ranks, calibration }), given)
      : { schedule: 'wsd' as const };
  const unsplit = resolveOptions({ ...divisible(choice, divisor), ...given });
  const split = splitBatch(unsplit, given, ranks);
  const chosen = { ...choice, ...given, ...split };
  const settings = resolveOptions(chosen);
  const config = modelConfig(settings, facts.vocabSize);
  checkTraining(data, settings, config.blockSize);
  const shape = trainingShape(settings, config);
  const limits = memoryLimits(engine.threads);
  checkStateMemory(shape, limits);
  const divided = settings.syncEvery === undefined ? shape : { ...shape, replicas: { rank: 0, size: ranks } };
  checkMemory(divided, memoryNeed(divided, trainingPrograms(divided)), limits);

  const { stepSeconds } = await measureSpeed(shape, engine, calibration);
  const { step, last } = expectedCosts(settings, data, stepSeconds, ranks);
  const left = timeForTraining(seconds, last) - last - (performance.now() - asked) / 1000;
  const max = maxSteps(facts.trainTokens, shape.batchSize * config.blockSize * shape.microBatches);
  const fit = (maxIters: number): Fitted => {
    const usual = optionsForLength(maxIters, settings);
    const evalIters = splitEvaluations(given.evalIters ?? usual.evalIters, { from: unsplit, to: split });
    const fitted = { ...usual, ...chosen, evalIters, maxIters };
    const costs = expectedCosts(resolveOptions(fitted), data, stepSeconds, ranks);
    return { options: fitted, costs, maxSteps: max };
  };
  const fitted = fit(Math.min(stepsIn(left, step), max));
  const within = withGivenEvaluations(fitted, given, left + last);
  return within === undefined ? fitted : fit(within);
}

/** The number of steps if evaluations of a given size or frequency leave time for fewer than was assumed; else undefined. */
function withGivenEvaluations(
  { options, costs }: Fitted,
  { evalInterval, evalIters }: TrainModelOptions,
  seconds: number,
): number | undefined {
  if (evalInterval === undefined && evalIters === undefined) return undefined;
  const settings = resolveOptions(options);
  const within = stepsWithin(seconds, 0, settings, costs);
  return within < settings.maxIters ? within : undefined;
}

/** A choice whose batch is a multiple of the ranks, so that all have the same amount of work. */
const divisible = <T extends object>(choice: T, ranks: number): T =>
  'batchSize' in choice && typeof choice.batchSize === 'number'
    ? { ...choice, batchSize: ranks * Math.max(1, Math.round(choice.batchSize / ranks)) }
    : choice;

/** Upper limit of the measurement of a resumed run, whose model is known. */
const RESUMED_CALIBRATION_SHARE = 0.02;

/**
 * Extends a resumed run by `seconds`, including its final evaluation.
 *
 * @param before the stored settings
 * @param given the options of this invocation
 */
export async function fitMore(
  options: TrainModelOptions,
  data: Pick<TrainingData, 'validation' | 'tokenizer'>,
  {
    seconds,
    asked,
    engine,
    ranks = 1,
    startStep,
    before,
    given,
  }: TimeToFit & {
    readonly startStep: number;
    readonly before: Settings;
    readonly given: TrainModelOptions;
  },
): Promise<Fitted> {
  const untimed = withoutTime(options);
  const settings = resolveOptions(untimed);
  const calibration = Math.min(CALIBRATION_SECONDS, RESUMED_CALIBRATION_SHARE * seconds);
  const config = modelConfig(settings, data.tokenizer.vocabSize);
  const shape = trainingShape(settings, config);
  const { stepSeconds } = await measureSpeed(shape, engine, calibration);
  const costs = expectedCosts(settings, data, stepSeconds, ranks);
  const left = timeForTraining(seconds, costs.last) - (performance.now() - asked) / 1000;
  const maxIters = startStep + stepsWithin(left, startStep, settings, costs);
  return {
    options: extendRun(untimed, before, { step: startStep, maxIters, isTimed: true, given }),
    costs,
    maxSteps: Infinity,
  };
}

/** The options that are set, without the time. */
const withoutTime = (options: TrainModelOptions): TrainModelOptions =>
  Object.fromEntries(
    Object.entries(options).filter(([name, value]) => name !== 'minutes' && value !== undefined),
  ) as unknown as TrainModelOptions;
