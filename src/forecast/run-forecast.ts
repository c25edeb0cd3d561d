/** Forecasts a training run without allocating its memory. */
import { lazyBackend, type ChosenBackend, type LazyBackend } from '../engine/backend.ts';
import { gpuMemoryLimit, isDeviceUndecided } from '../engine/device-choice.ts';
import { measureRates, type GpuRates } from '../engine/gpu-rates.ts';
import { UsageError } from '../errors.ts';
import { presets, type ModelConfig } from '../model/config.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import { costlyParameters, countParameters, parametersByPart } from '../model/parameters.ts';
import type { Part } from '../model/parameter.ts';
import { cautionsAbout, type Caution } from '../train/cautions.ts';
import { checkText } from '../train/check-text.ts';
import {
  budgetSeconds,
  fitToBudget,
  type Fitted,
  isModelOpen,
  referenceModel,
  usualModel,
} from '../train/budget.ts';
import { cautionsAboutPrecision } from '../train/matmul-precision.ts';
import { cautionsAboutRanks } from '../train/ranks/rank-cautions.ts';
import { splitBatch } from '../train/ranks/split-batch.ts';
import { memoryLimit, type MemoryLimit } from '../train/memory.ts';
import {
  stateBytes,
  trainingPrograms,
  type TrainingPrograms,
  type TrainingShape,
} from '../train/programs.ts';
import { predictStep } from '../train/predict-step.ts';
import { secondsOfTimedRun } from '../train/run-time.ts';
import type { Report } from '../reporting.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { openStartingModel } from '../train/starting-model.ts';
import {
  modelConfig,
  resolveOptions,
  trainingShape,
  withCanonicalEncoding,
  type Settings,
  type TrainModelOptions,
} from '../train/settings.ts';
import { optionName } from '../messages.ts';
import { CALIBRATION_SECONDS, measureSpeed, timedStep } from '../train/timed-training.ts';
import type { RunDescription } from '../train/train-handlers.ts';
import { countTokens, readTrainingData, type TrainingData } from '../train/training-data.ts';
import { FLOPS_PER_PARAMETER, trainingFlops } from './model-cost.ts';

export interface ForecastOptions {
  /** Number of training tokens, overriding what the other options imply. */
  readonly tokens?: number | undefined;
  readonly flopsPerParameter?: number | undefined;
  readonly threads: number;
  /** Hosts that will share each step, one rank on each: a chosen batch is a multiple of them. Default: 1. */
  readonly hosts?: number | undefined;
  /** Receives progress of reading and tokenizing. */
  readonly preparing?: Report | undefined;
  /** Called before the speed of this CPU or GPU is measured. */
  readonly measuring?: (() => void) | undefined;
}

export interface RunForecast {
  /** Undefined if a model is planned without a text. */
  readonly text: PlannedText | undefined;
  /** Size and dropout are chosen for text and time. */
  readonly isModelChosen: boolean;
  readonly settings: Settings;
  /** Given options that do not do what their help says. */
  readonly cautions: readonly Caution[];
  readonly config: ModelConfig;
  readonly parameters: number;
  readonly parts: Readonly<Partial<Record<Part, number>>>;
  readonly tokensPerStep: number;
  readonly steps: number;
  /** A time limit would end the run: the number of steps is an estimate. */
  readonly isLimitedByTime: boolean;
  /** Tokens trained on. */
  readonly tokens: number;
  readonly flopsPerParameter: number;
  /** By the rule C = 6·N·D. */
  readonly flops: number;
  /** FLOPs that the rule leaves out. */
  readonly attentionFlops: number;
  /** Bytes of parameters, gradients and moments, and of a whole run on this computer, including activations. */
  readonly stateBytes: number;
  readonly memoryBytes: number;
  readonly memoryLimit: MemoryLimit;
  /** The GPU, if that is the device. */
  readonly gpu: GpuRates | undefined;
  readonly here: TimeHere;
  /** See ChosenBackend. */
  readonly rejected: ChosenBackend['rejected'];
}

/** The text of a planned run. */
export type PlannedText = Pick<
  RunDescription,
  'corpus' | 'validationCorpus' | 'tokens' | 'replacements' | 'tokenizer'
>;

/** Training speed and time on this computer. */
interface TimeHere {
  /** Of training, with the FLOPs of `flops` and `attentionFlops`. */
  readonly flopsPerSecond: number;
  /** Time of the steps or, for a run with a time limit, of the whole run with its evaluations and checkpoints. */
  readonly seconds: number;
  readonly stepSeconds: number;
  /** What was measured: this model, a small one in its place, or the rates of the GPU. */
  readonly basis: 'this model' | 'a small model' | 'rates';
}

/** GPT-2's vocabulary, the default without a text. */
const GPT2_VOCABULARY = 50_257;
/** Models up to this size, with steps up to this many FLOPs, are timed directly instead of a small model in their place. */
const [MEASURED_BYTES, MEASURED_FLOPS] = [1e9, 5e10];
/** On a GPU, models are timed directly if a step is expected to take at most this many seconds. */
const MEASURED_SECONDS = 0.25;

/** @throws UserError for everything trainModel rejects, except too little memory, and float16 on the CPU */
export async function forecastRun(given: TrainModelOptions, wanted: ForecastOptions): Promise<RunForecast> {
  const engine = lazyBackend({ threads: wanted.threads });
  try {
    return await forecastOn(engine, withCanonicalEncoding(given), wanted);
  } finally {
    await engine.close();
  }
}

async function forecastOn(
  engine: LazyBackend,
  given: TrainModelOptions,
  wanted: ForecastOptions,
): Promise<RunForecast> {
  const { flopsPerParameter = FLOPS_PER_PARAMETER, hosts = 1 } = wanted;
  engine.matmulPrecision = given.matmulPrecision ?? 'float32';
  const start = openStartingModel(given);
  const options = start?.options ?? given;
  const { text, settings, vocabSize, timed } =
    options.corpus.length > 0
      ? await forText(options, engine, start?.tokenizer, wanted)
      : await withoutText(options, engine, start?.tokenizer, wanted);
  const config = modelConfig(settings, vocabSize);
  const shape = trainingShape(settings, config);
  const tokensPerStep = shape.batchSize * config.blockSize * shape.microBatches;
  const steps = wanted.tokens === undefined ? settings.maxIters : Math.ceil(wanted.tokens / tokensPerStep);
  const tokens = wanted.tokens ?? steps * tokensPerStep;
  const parameters = countParameters(config);
  const flops = trainingFlops(costlyParameters(config), tokens, flopsPerParameter);
  const attentionFlops = architectureOf(config).attentionFlopsPerToken(config) * tokens;
  const allFlops = flops + attentionFlops;
  const programs = trainingPrograms(shape);
  const memoryBytes = 4 * programs.end;
  const gpu = await gpuOf(engine, wanted.measuring);

  return {
    text,
    isModelChosen: timed !== undefined && isModelOpen(options),
    settings,
    cautions: [
      ...cautionsAbout(given, settings),
      ...cautionsAboutRanks(given, splitBatch(settings, options, hosts), hosts),
      ...cautionsAboutPrecision(given),
    ],
    config,
    parameters,
    parts: parametersByPart(config),
    tokensPerStep,
    steps,
    isLimitedByTime: timed !== undefined && wanted.tokens === undefined && steps < timed.maxSteps,
    tokens,
    flopsPerParameter,
    flops,
    attentionFlops,
    stateBytes: stateBytes(shape),
    memoryBytes,
    memoryLimit: memoryLimit(engine.threads),
    gpu,
    here:
      timed !== undefined && wanted.tokens === undefined
        ? timeWithin(timed, settings, steps, allFlops)
        : await timeHere({ shape, programs, flops: allFlops, steps, gpu, engine }, wanted.measuring),
    rejected: (await engine.open()).rejected, // already opened for the measurement
  };
}

/** Time of a run with a time limit. @param flops of all steps */
const timeWithin = (
  timed: NonNullable<ForecastBasis['timed']>,
  settings: Settings,
  steps: number,
  flops: number,
): TimeHere => ({
  flopsPerSecond: flops / (steps * timed.costs.step),
  stepSeconds: timed.costs.step,
  seconds: secondsOfTimedRun(timed, settings, { startStep: 0, steps }),
  basis: 'this model',
});

/** The rates of the GPU, if that is the device. */
async function gpuOf(
  engine: LazyBackend,
  measuring: ForecastOptions['measuring'],
): Promise<GpuRates | undefined> {
  if (gpuMemoryLimit() === undefined) return undefined;
  measuring?.();
  return measureRates((await engine.open()).backend);
}

interface TimedRun {
  readonly shape: TrainingShape;
  readonly programs: TrainingPrograms;
  /** Floating-point operations of all steps. */
  readonly flops: number;
  readonly steps: number;
  readonly gpu: GpuRates | undefined;
  readonly engine: LazyBackend;
}

/** Measures how long the steps of a run take. */
async function timeHere(run: TimedRun, measuring: ForecastOptions['measuring']): Promise<TimeHere> {
  const { shape, programs, flops, steps, gpu, engine } = run;
  const flopsOfBatch = flops / steps / shape.microBatches;
  const isSmall = 4 * programs.end < MEASURED_BYTES && flopsOfBatch < MEASURED_FLOPS;
  const found = (seconds: number, basis: TimeHere['basis']): TimeHere => ({
    flopsPerSecond: flops / seconds,
    seconds,
    stepSeconds: seconds / steps,
    basis,
  });
  const predicted = gpu && predictStep(gpu, programs, shape.microBatches);
  if (predicted !== undefined && !isMeasuredOnGpu(programs, predicted))
    return found(steps * predicted, 'rates');
  const isThis = predicted !== undefined || isSmall;
  measuring?.();
  const speed = await measureSpeed(isThis ? shape : referenceModel, engine, CALIBRATION_SECONDS);
  const seconds = isThis ? steps * shape.microBatches * speed.stepSeconds : flops / speed.flopsPerSecond;
  return found(seconds, isThis ? 'this model' : 'a small model');
}

const isMeasuredOnGpu = ({ end }: TrainingPrograms, seconds: number): boolean =>
  seconds < MEASURED_SECONDS && 4 * end <= gpuMemoryLimit()!;

/** With `auto`, chooses the device that takes less time for a step of the run or, if that is large, of a small model. */
async function decideDevice(
  engine: LazyBackend,
  options: TrainModelOptions,
  vocabSize: number,
  measuring: ForecastOptions['measuring'],
): Promise<void> {
  if (!isDeviceUndecided()) return;
  measuring?.();
  const settings = resolveOptions(options);
  const shape = trainingShape(settings, modelConfig(settings, vocabSize));
  const timed = stateBytes(shape) < MEASURED_BYTES / 4 ? shape : referenceModel;
  await engine.openFaster(timedStep(timed, CALIBRATION_SECONDS));
}

interface ForecastBasis {
  readonly text: PlannedText | undefined;
  readonly settings: Settings;
  readonly vocabSize: number;
  /** For a run with a time limit: the limit in seconds, the costs of its parts, and the most steps that the text is worth. */
  readonly timed?: { readonly seconds: number } & Pick<Fitted, 'costs' | 'maxSteps'>;
}

async function forText(
  options: TrainModelOptions,
  engine: LazyBackend,
  tokenizer: Tokenizer | undefined,
  { preparing, ...wanted }: ForecastOptions,
): Promise<ForecastBasis> {
  const data = readTrainingData(options, tokenizer, preparing);
  try {
    return await forData(options, data, engine, wanted);
  } finally {
    data.close();
  }
}

async function forData(
  options: TrainModelOptions,
  data: TrainingData,
  engine: LazyBackend,
  { measuring, hosts, tokens }: Pick<ForecastOptions, 'measuring' | 'hosts' | 'tokens'>,
): Promise<ForecastBasis> {
  const seconds = budgetSeconds(options);
  const usual = usualModel(options, data, engine.threads) ?? options;
  await decideDevice(engine, usual, data.tokenizer.vocabSize, measuring);
  if (seconds !== undefined) measuring?.();
  const timed =
    seconds === undefined
      ? undefined
      : { seconds, ...(await fitToBudget(options, data, { seconds, engine, divisor: hosts })) };
  const { corpus, validationCorpus, replacements, tokenizer, valFraction } = data;
  const { documents } = corpus;
  const settings = {
    ...resolveOptions({ ...(timed?.options ?? options), valFraction, documents }),
    tokenizer: tokenizer.kind,
  };
  // With a number of tokens, the text may be a sample of the one that is planned for.
  if (tokens === undefined) checkText(data, settings, modelConfig(settings, tokenizer.vocabSize));
  return {
    text: { corpus, validationCorpus, replacements, tokens: countTokens(data), tokenizer },
    settings,
    vocabSize: tokenizer.vocabSize,
    ...(timed && { timed }),
  };
}

async function withoutText(
  options: TrainModelOptions,
  engine: LazyBackend,
  tokenizer: Tokenizer | undefined,
  { measuring }: ForecastOptions,
): Promise<ForecastBasis> {
  if (options.minutes !== undefined)
    throw new UsageError(
      'missing-argument',
      `${optionName('minutes')} needs a text, since model and batch size are chosen for it`,
      {
        hint: `pass the text, or give the length with ${optionName('tokens')} or ${optionName('maxIters')}`,
      },
    );
  if (options.preset === undefined && options.nLayer === undefined)
    throw new UsageError('missing-argument', 'there is nothing to plan', {
      hint: `pass a text, a ${optionName('preset')} (${Object.keys(presets).slice(0, 3).join(', ')} …), or ${optionName('nLayer')}, ${optionName('nHead')} and ${optionName('nEmbd')}`,
    });
  const { vocabSize = tokenizer?.vocabSize ?? GPT2_VOCABULARY } = options;
  await decideDevice(engine, options, vocabSize, measuring);
  return {
    text: undefined,
    settings: resolveOptions(options),
    vocabSize,
  };
}
