/**
 * What a run is like when nobody says how: model, batch, learning rate and steps from the corpus, the machine and the time
 * there is. All of it ends up in the run's options, so that the same run can be had again.
 */
import { checkLength } from '../data/batches.ts';
import type { LazyBackend } from '../engine/backend.ts';
import { costOf } from '../engine/cost.ts';
import { optionName, UsageError } from '../errors.ts';
import { gpt2Defaults } from '../model/architectures/gpt2.ts';
import { countParameters } from '../model/parameters.ts';
import { extendRun } from './extension.ts';
import { checkMemory, memoryLimit } from './memory.ts';
import { numbersPerParameter } from './optimizer.ts';
import { trainingPrograms, type TrainingPrograms, type TrainingShape } from './programs.ts';
import { DECAY_SHARE, FINE_TUNING } from './options.ts';
import { stepsWithin, timeForTraining, type Costs } from './run-time.ts';
import { modelConfig, resolveOptions, type Settings, type TrainModelOptions } from './settings.ts';
import { measureSpeed, type TimedModel } from './timed-training.ts';
import type { TrainingData } from './training-data.ts';

/** How long a run takes that is told neither its length nor a preset, which has a length of its own. */
export const DEFAULT_MINUTES = 3;

/** The time a new run is fitted to, in seconds; undefined if its length is settled otherwise. */
export function budgetSeconds({ minutes, maxIters, preset }: TrainModelOptions): number | undefined {
  if (minutes !== undefined && maxIters !== undefined)
    throw new UsageError(
      'conflicting-options',
      `${optionName('minutes')} and ${optionName('maxIters')} both say how long to train`,
      {
        hint: 'give one of them',
      },
    );
  if (minutes !== undefined) return 60 * minutes;
  return maxIters === undefined && preset === undefined ? 60 * DEFAULT_MINUTES : undefined;
}

/** Sizes to choose from: layers, heads, channels. Their layers' parameters grow by about 2 from one to the next. */
const sizes = [
  [2, 2, 64],
  [3, 3, 96],
  [4, 4, 128],
  [4, 6, 192],
  [6, 6, 192],
  [6, 8, 256],
  [6, 6, 384],
  [8, 8, 512],
  [12, 12, 768],
] as const;

type Shape = Required<Pick<TrainModelOptions, 'nLayer' | 'nHead' | 'nEmbd' | 'blockSize'>>;

const isShape = (options: TrainModelOptions): options is TrainModelOptions & Shape =>
  (['nLayer', 'nHead', 'nEmbd', 'blockSize'] as const).every((name) => options[name] !== undefined);

/** What there is to learn from. */
export interface TextFacts {
  readonly trainTokens: number;
  readonly vocabSize: number;
}

export type Choice = Required<
  Pick<
    TrainModelOptions,
    | 'nLayer'
    | 'nHead'
    | 'nEmbd'
    | 'blockSize'
    | 'batchSize'
    | 'dropout'
    | 'learningRate'
    | 'beta2'
    | 'weightDecay'
    | 'schedule'
    | 'patience'
  >
>;

/** Tokens for each parameter below which a smaller model, which sees more text in the same time, learns more. */
const TOKENS_PER_PARAMETER = 1.5;
/** Parameters for each token of the text above which a model learns the text by heart. */
const PARAMETERS_PER_TOKEN = 4;
/** Tokens in a step, from a run of a minute up to a long one. */
const [FEWEST_IN_STEP, MOST_IN_STEP] = [768, 16_384];

/**
 * The model and its training for a text and so many floating-point operations. Small models and batches, and learning rates
 * that would be too high for a long run: in minutes, the number of steps is what counts. docs/recipe.md says what was tried.
 *
 * @param given the shape, where it is settled and only its training is to be chosen
 */
export function chooseModel({ trainTokens, vocabSize }: TextFacts, flops: number, given?: Shape): Choice {
  const chosenBlock = trainTokens >= 20_000 ? 128 : trainTokens >= 2000 ? 64 : clamp(trainTokens - 1, 1, 16);
  const shapes =
    given === undefined
      ? sizes.map(([nLayer, nHead, nEmbd]) => ({ nLayer, nHead, nEmbd, blockSize: chosenBlock }))
      : [given];
  const candidates = shapes.map((each) => {
    const { nLayer, nEmbd, blockSize } = each;
    const parameters = countParameters({ ...gpt2Defaults, ...each, vocabSize, dropout: 0 });
    return { shape: each, parameters, tokens: flops / (6 * (parameters + nLayer * blockSize * nEmbd)) };
  });
  const { shape, tokens } =
    candidates.findLast(
      (each) =>
        each.tokens >= TOKENS_PER_PARAMETER * each.parameters &&
        each.parameters <= PARAMETERS_PER_TOKEN * trainTokens,
    ) ?? candidates[0];
  const inStep = clamp(FEWEST_IN_STEP * Math.sqrt(tokens / 2e6), FEWEST_IN_STEP, MOST_IN_STEP);
  const epochs = tokens / trainTokens;
  return {
    ...shape,
    batchSize: Math.max(1, Math.round(inStep / shape.blockSize)),
    dropout: epochs < 5 ? 0 : epochs < 20 ? 0.1 : 0.2,
    learningRate: rounded(3e-3 * Math.sqrt(128 / shape.nEmbd), 2),
    beta2: 0.99,
    weightDecay: 0.1,
    schedule: 'wsd',
    patience: 8,
  };
}

const clamp = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);
const rounded = (x: number, digits: number): number => Number(x.toPrecision(digits));

/** Evaluations of a run that is fitted to a time, and the share of the time they may take. */
const EVALUATIONS = 20;
const EVALUATION_SHARE = 0.05;
/** A pass forward takes about this part of a step. */
const FORWARD_SHARE = 1 / 3;

/** How a run of so many steps is divided. */
function rhythm(
  maxIters: number,
): Pick<Settings, 'evalInterval' | 'evalIters' | 'warmupIters' | 'lrDecayStart'> {
  const evalInterval = Math.max(1, Math.round(maxIters / EVALUATIONS));
  return {
    evalInterval,
    evalIters: clamp(Math.round((EVALUATION_SHARE * evalInterval) / FORWARD_SHARE / 2), 2, 50),
    warmupIters: Math.min(100, Math.ceil(maxIters / 20)),
    lrDecayStart: Math.floor((1 - DECAY_SHARE) * maxIters),
  };
}

/** The steps that fit into this time, with their evaluations. */
const stepsIn = (seconds: number, stepSeconds: number): number =>
  Math.max(1, Math.floor((seconds * (1 - EVALUATION_SHARE)) / stepSeconds));

/** The time a run that is resumed has from here on, in seconds, if it was given one. */
export const moreSeconds = ({ minutes }: TrainModelOptions): number | undefined =>
  minutes === undefined ? undefined : 60 * minutes;

export interface Fitted {
  /** Complete: no time in them any more, but steps. */
  readonly options: TrainModelOptions;
  readonly costs: Costs;
}

/**
 * Seconds of calibration, and its upper limit as a share of the run's time: once for a small model, which says what size to
 * choose, and once for the one chosen.
 */
const [CALIBRATION, CALIBRATION_SHARE] = [0.5, 0.05];
export const referenceModel: TimedModel = {
  config: { ...gpt2Defaults, nLayer: 4, nHead: 4, nEmbd: 128, blockSize: 128, vocabSize: 96, dropout: 0 },
  batchSize: 6,
};

/**
 * Chooses what the options leave open so that the run takes so many seconds on this machine.
 *
 * @param asked when the run was asked for, in milliseconds of `performance.now()`: its time is counted from there
 * @throws UsageError if the options do not fit each other or the text, EngineMemoryError if the model does not fit memory
 */
export async function fitToBudget(
  options: TrainModelOptions,
  data: Pick<TrainingData, 'train' | 'validation' | 'tokenizer'>,
  {
    seconds,
    asked = performance.now(),
    engine,
    calibration = Math.min(CALIBRATION, CALIBRATION_SHARE * seconds),
  }: { seconds: number; asked?: number; engine: LazyBackend; calibration?: number },
): Promise<Fitted> {
  const facts = { trainTokens: data.train.length, vocabSize: data.tokenizer.vocabSize };
  const given = withoutTime(options);
  const reference =
    options.preset === undefined ? await measureSpeed(referenceModel, engine, calibration) : undefined;
  const choice =
    reference === undefined
      ? { schedule: 'wsd' as const }
      : chooseModel(
          facts,
          reference.flopsPerSecond * seconds * (1 - EVALUATION_SHARE),
          isShape(given) ? given : undefined,
        );
  const learningRate =
    'learningRate' in choice && given.initFrom !== undefined
      ? { learningRate: rounded(FINE_TUNING * choice.learningRate, 2) }
      : {};
  const chosen = withHeads({ ...choice, ...learningRate, ...given }, given);
  const settings = resolveOptions(chosen);
  const config = modelConfig(settings, facts.vocabSize);
  checkLength(data.train, config.blockSize);
  const { batchSize, gradientAccumulationSteps: microBatches, optimizer } = settings;
  const shape = { config, batchSize, microBatches, optimizer };
  checkMemory(shape, 4 * trainingPrograms(shape).end, memoryLimit(engine.threads));

  const { stepSeconds } = await measureSpeed({ config, batchSize }, engine, calibration);
  const { step, last } = costsOf(settings, data, stepSeconds);
  const left = timeForTraining(seconds, last) - last - (performance.now() - asked) / 1000;
  const maxIters = stepsIn(left, step);
  const fitted = { ...rhythm(maxIters), ...chosen, maxIters };
  return { options: fitted, costs: costsOf(resolveOptions(fitted), data, stepSeconds) };
}

/** The same limit for a resumed run, whose model is known. */
const RESUMED_CALIBRATION_SHARE = 0.02;

/**
 * Extends a resumed run by a number of seconds, counted from when it was asked for, everything until its end included.
 *
 * @param asked in milliseconds of `performance.now()`
 * @param before the run as it was stored
 * @param given the options given now
 */
export async function fitMore(
  options: TrainModelOptions,
  data: Pick<TrainingData, 'validation' | 'tokenizer'>,
  {
    seconds,
    asked,
    engine,
    startStep,
    before,
    given,
  }: {
    seconds: number;
    asked: number;
    engine: LazyBackend;
    startStep: number;
    before: Settings;
    given: TrainModelOptions;
  },
): Promise<Fitted> {
  const untimed = withoutTime(options);
  const settings = resolveOptions(untimed);
  const calibration = Math.min(CALIBRATION, RESUMED_CALIBRATION_SHARE * seconds);
  const config = modelConfig(settings, data.tokenizer.vocabSize);
  const { batchSize } = settings;
  const { stepSeconds } = await measureSpeed({ config, batchSize }, engine, calibration);
  const costs = costsOf(settings, data, stepSeconds);
  const left = timeForTraining(seconds, costs.last) - (performance.now() - asked) / 1000;
  const maxIters = startStep + stepsWithin(left, startStep, settings, costs);
  return {
    options: extendRun(untimed, before, { step: startStep, maxIters, isTimed: true, given }),
    costs,
  };
}

/** Time to decode a token of a preview, one sequence at a time, as a multiple of its share of a forward pass. */
const DECODING_FACTOR = 10;
/** Bytes a second to disk, and seconds for the files of a checkpoint however small. */
const [DISK_SPEED, CHECKPOINT_SECONDS] = [2e8, 0.03];

/** What the parts of a run cost: a step as measured, without gradient accumulation; the others estimated until they are. */
function costsOf(
  settings: Settings,
  { validation, tokenizer }: Pick<TrainingData, 'validation' | 'tokenizer'>,
  stepSeconds: number,
): Costs {
  const { batchSize, blockSize, gradientAccumulationSteps: microBatches } = settings;
  const config = modelConfig(settings, tokenizer.vocabSize);
  const forward = FORWARD_SHARE * stepSeconds;
  const token = (DECODING_FACTOR * forward) / (batchSize * blockSize);
  // Parameters, moments and the best model.
  const bytes = 4 * numbersPerParameter(settings.optimizer) * countParameters(config);
  return {
    step: stepSeconds * microBatches,
    evaluation: 2 * settings.evalIters * forward + settings.sampleTokens * token,
    checkpoint: CHECKPOINT_SECONDS + bytes / DISK_SPEED,
    last: forward * Math.ceil(validation.length / (batchSize * blockSize)),
  };
}

/** What is given, less the time and whatever is undefined. */
const withoutTime = (options: TrainModelOptions): TrainModelOptions =>
  Object.fromEntries(
    Object.entries(options).filter(([name, value]) => name !== 'minutes' && value !== undefined),
  ) as unknown as TrainModelOptions;

/** Heads that divide the channels, where one of the two was given and the other chosen. */
function withHeads(chosen: TrainModelOptions, given: TrainModelOptions): TrainModelOptions {
  const { nHead, nEmbd } = chosen;
  if (nHead === undefined || nEmbd === undefined || nEmbd % nHead === 0) return chosen;
  if (given.nHead === undefined) {
    const heads = Array.from({ length: Math.ceil(nEmbd / 32) }, (_, i) => i + 1);
    return { ...chosen, nHead: heads.findLast((n) => nEmbd % n === 0) ?? 1 };
  }
  return given.nEmbd === undefined
    ? { ...chosen, nEmbd: nHead * Math.round(nEmbd / nHead) || nHead }
    : chosen;
}

/**
 * Below this many floating-point operations, some ten minutes on two cores, a run is told how long it takes by its first
 * steps: finding out before them would more than double the time until the first.
 */
const SHORT_RUN = 1e14;

/** How long so many steps take here, in seconds; undefined for a short run. */
export async function expectSeconds(
  { config, batchSize, microBatches }: TrainingShape,
  { forwardBackward }: TrainingPrograms,
  steps: number,
  engine: LazyBackend,
  measuring?: () => void,
): Promise<number | undefined> {
  const flops = forwardBackward.instructions.reduce((sum, each) => sum + costOf(each).flops, 0);
  if (steps * microBatches * flops < SHORT_RUN) return undefined;
  measuring?.();
  const { stepSeconds } = await measureSpeed({ config, batchSize }, engine, CALIBRATION);
  return (steps * microBatches * stepSeconds) / (1 - EVALUATION_SHARE);
}
