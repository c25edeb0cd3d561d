/** Everything about a run that is decided before step 0: its text, its settings, its model and its programs. */
import { ranksOnHost, type Communicator } from '../../collective/communicator.ts';
import type { LazyBackend } from '../../engine/backend.ts';
import {
  chooseCpu,
  isAuto,
  isDeviceLeftToRun,
  isDeviceUndecided,
  useDevice,
} from '../../engine/device-choice.ts';
import { UserError } from '../../errors.ts';
import { optionValues } from '../../messages.ts';
import type { StorageOf } from '../../model/placement.ts';
import type { ModelConfig } from '../../model/config.ts';
import {
  budgetSeconds,
  CALIBRATION_SHARE,
  fitMore,
  fitToBudget,
  moreSeconds,
  usualModel,
  type Fitted,
} from '../budget.ts';
import { cautionsAbout, type Caution } from '../cautions.ts';
import { recordForcedChanges } from '../change-history.ts';
import { checkText } from '../check-text.ts';
import { expectSeconds } from '../expect-seconds.ts';
import { extendRun } from '../extension.ts';
import { checkMatmulPrecision } from '../matmul-precision.ts';
import { checkMemory, checkStateMemory, memoryLimits, memoryNeed, type MemoryNeed } from '../memory.ts';
import { textChange, type TextChange } from '../new-text.ts';
import { trainingPrograms, type Ranks, type TrainingPrograms, type TrainingShape } from '../programs.ts';
import { cautionsAboutRanks } from '../ranks/rank-cautions.ts';
import { checkMicroBatches, splitBatch, splitEvaluations } from '../ranks/split-batch.ts';
import { checkReplicas, withReplicas } from '../replicas/replica-options.ts';
import { secondsOfTimedRun } from '../run-time.ts';
import { changeSchedule } from '../schedule-history.ts';
import {
  modelConfig,
  resolveOptions,
  trainingShape,
  type Settings,
  type TrainModelOptions,
} from '../settings.ts';
import { CALIBRATION_SECONDS, timedStep } from '../timed-training.ts';
import type { TrainHandlers } from '../train-handlers.ts';
import type { TrainingData } from '../training-data.ts';
import { checkResume } from './check-resume.ts';
import type { Origin } from './origin.ts';

export interface PreparedRun {
  readonly origin: Origin;
  readonly data: TrainingData;
  readonly settings: Settings;
  readonly config: ModelConfig;
  readonly shape: TrainingShape;
  readonly programs: TrainingPrograms;
  readonly memory: MemoryNeed;
  readonly tokensPerStep: number;
  /** Options given in this invocation that have no effect or an unusual one. */
  readonly cautions: readonly Caution[];
  /** How the text differs from the one a resumed run has been trained on. */
  readonly change: TextChange | undefined;
  /** For a run with a time limit. */
  readonly time: TimeLimit | undefined;
  /** Undefined if the run is too short for a measurement to pay off. */
  readonly expectedSeconds: number | undefined;
  /** How long it took to find the faster device, which is part of a time limit. */
  readonly decisionSeconds: number;
}

const ONE_RANK: Ranks = { rank: 0, size: 1 };

/** The time limit, with the costs and the number of steps found for it. */
type TimeLimit = Omit<Fitted, 'options'> & { readonly seconds: number };

interface Preparation {
  /** The options of this invocation. */
  readonly given: TrainModelOptions;
  readonly handlers: TrainHandlers;
  readonly engine: LazyBackend;
  /** Time of the request, in milliseconds of `performance.now()`. */
  readonly asked: number;
  /** The processes that share the run; undefined: this one alone. */
  readonly ranks: Communicator | undefined;
}

/** @throws UserError, UsageError for unsuitable text or options; EngineMemoryError if the run does not fit in memory */
export async function prepareRun(
  origin: Origin,
  data: TrainingData,
  preparation: Preparation,
): Promise<PreparedRun> {
  const { given, handlers, engine, ranks } = preparation;
  if (isDeviceLeftToRun()) await keepDevice(origin);
  checkMatmulPrecision(given);
  engine.matmulPrecision = origin.options.matmulPrecision ?? 'float32';
  // A stored precision may be one that the run fell back from, and a run may be resumed on another GPU.
  engine.isPrecisionOptional = given.matmulPrecision === undefined || isAuto();
  const decisionSeconds = await decideDevice(origin, data, preparation);
  const { options, time } = await chooseLength(origin, data, preparation);
  const chosen = settingsOf(origin, withReplicas(options, ranks?.size ?? 1), data);
  const change = origin.resumed && textChange(origin.resumed.checkpoint.state, data, chosen);
  if (origin.resumed !== undefined)
    checkResume(origin.resumed, data, chosen, { force: given.force === true, change });
  const settings = withChangesRecorded(origin, chosen, change);
  const config = modelConfig(settings, data.tokenizer.vocabSize);
  checkText(data, settings, config, { isResumed: origin.resumed !== undefined });

  checkReplicas(settings, ranks?.size ?? 1);
  if (ranks !== undefined) checkMicroBatches(settings, ranks.size);
  const shape = {
    ...trainingShape(settings, config),
    frozenStorage: frozenStorage(origin, config),
    ...(settings.syncEvery !== undefined ? { replicas: ranks ?? ONE_RANK } : ranks && { ranks }),
  };
  const limits = memoryLimits(engine.threads, ranks && ranksOnHost(ranks));
  checkStateMemory(shape, limits);
  const programs = trainingPrograms(shape);
  const memory = memoryNeed(shape, programs);
  checkMemory(shape, memory, limits);
  const startStep = origin.resumed?.checkpoint.state.step ?? 0;
  const steps = settings.maxIters - startStep;
  const expectedSeconds =
    time === undefined
      ? await expectSeconds(shape, programs, steps, engine, handlers.measuring)
      : secondsOfTimedRun(time, settings, { startStep, steps: Math.min(steps, time.maxSteps - startStep) });
  const tokensPerStep = shape.batchSize * config.blockSize * shape.microBatches;
  const cautions = [
    ...cautionsAbout(given, settings),
    ...cautionsAboutRanks(given, settings, ranks?.size ?? 1),
  ];
  return {
    origin,
    data,
    settings,
    config,
    shape,
    programs,
    memory,
    tokensPerStep,
    cautions,
    change,
    time,
    expectedSeconds,
    decisionSeconds,
  };
}

/** Keeps the device of a resumed run, on which its results depend. @throws UserError if it is a GPU that cannot be used */
async function keepDevice({ resumed }: Origin): Promise<void> {
  if (resumed?.checkpoint.state.engine?.startsWith('webgpu') !== true) return;
  try {
    await useDevice('webgpu');
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(error.code, `this run used a GPU so far: ${error.message}`, {
      hint: `to resume it on the CPU, use ${optionValues({ device: 'cpu' })}; for the GPU: ${error.hint}`,
      cause: error,
    });
  }
}

/**
 * With `auto`, chooses the device on which a step takes less time; with several ranks, or for a run that has used the CPU so
 * far, the CPU. With a time limit, the step is that of the model that would be chosen for the CPU: if the GPU is faster with
 * that one, it is faster with a larger one too.
 *
 * @returns the seconds that the measurement took
 */
async function decideDevice(
  origin: Origin,
  data: TrainingData,
  { handlers, engine, ranks }: Preparation,
): Promise<number> {
  if (!isDeviceUndecided()) return 0;
  if (ranks !== undefined) await chooseCpu("with several ranks, 'auto' is the CPU");
  else if (origin.resumed?.checkpoint.state.engine !== undefined)
    await chooseCpu('this run used the CPU so far');
  if (!isDeviceUndecided()) return 0;
  handlers.measuring?.();
  const start = performance.now();
  const options = usualModel(origin.options, data, engine.threads) ?? origin.options;
  const settings = settingsOf(origin, options, data);
  const config = modelConfig(settings, data.tokenizer.vocabSize);
  const shape = { ...trainingShape(settings, config), frozenStorage: frozenStorage(origin, config) };
  const limit = CALIBRATION_SHARE * (budgetSeconds(origin.options) ?? Infinity);
  const { measure, ...step } = timedStep(shape, Math.min(CALIBRATION_SECONDS, limit));
  await engine.openFaster({
    ...step,
    measure: (device) => {
      checkStateMemory(shape, memoryLimits(engine.threads));
      return measure(device);
    },
  });
  return (performance.now() - start) / 1000;
}

/** Frozen weights keep the precision of the base model's file, which changes no bit of the results. */
const frozenStorage = (origin: Origin, { lora }: ModelConfig): StorageOf | undefined =>
  lora === undefined
    ? undefined
    : (origin.resumed === undefined ? origin.start : origin.resumed.checkpoint.model)?.storageOf;

/** The options with the length of the run, which may be fitted to a time limit or extended. */
async function chooseLength(
  origin: Origin,
  data: TrainingData,
  { given, handlers, engine, asked, ranks }: Preparation,
): Promise<Pick<PreparedRun, 'time'> & { readonly options: TrainModelOptions }> {
  const { options } = origin;
  const seconds = origin.resumed === undefined ? budgetSeconds(options) : moreSeconds(given);
  if (seconds !== undefined) {
    handlers.measuring?.();
    const { options: fitted, ...found } = await fit(origin, data, {
      given,
      engine,
      asked,
      seconds,
      ranks: ranks?.size ?? 1,
    });
    return { options: fitted, time: { seconds, ...found } };
  }
  const { maxIters = 0 } = given;
  if (origin.resumed === undefined) {
    return { options: ranks === undefined ? options : divideSteps(options, ranks), time: undefined };
  }
  if (maxIters <= origin.before.maxIters) return { options, time: undefined };
  const { step } = origin.resumed.checkpoint.state;
  const extended = extendRun(options, origin.before, { step, maxIters, isTimed: false, given });
  return { options: extended, time: undefined };
}

/** The options with steps and evaluations divided among ranks, over the same numbers of sequences. */
function divideSteps(options: TrainModelOptions, { size }: Communicator): TrainModelOptions {
  const whole = resolveOptions(options);
  const split = splitBatch(whole, options, size);
  const evalIters = splitEvaluations(whole.evalIters, { from: whole, to: split });
  return { ...options, ...split, evalIters };
}

function fit(
  origin: Origin,
  data: TrainingData,
  {
    given,
    ...time
  }: Omit<Preparation, 'handlers' | 'ranks'> & { readonly seconds: number; readonly ranks: number },
): Promise<Fitted> {
  if (origin.resumed === undefined) return fitToBudget(origin.options, data, time);
  const startStep = origin.resumed.checkpoint.state.step;
  return fitMore(origin.options, data, { ...time, startStep, before: origin.before, given });
}

function settingsOf(
  origin: Origin,
  options: TrainModelOptions,
  { valFraction, tokenizer, corpus: { documents } }: TrainingData,
): Settings {
  const chosen = { ...resolveOptions({ ...options, valFraction, documents }), tokenizer: tokenizer.kind };
  return origin.resumed === undefined
    ? chosen
    : changeSchedule(origin.before, chosen, origin.resumed.checkpoint.state.step);
}

const withChangesRecorded = (origin: Origin, chosen: Settings, change: TextChange | undefined): Settings =>
  origin.resumed === undefined
    ? chosen
    : recordForcedChanges(origin.before, chosen, { step: origin.resumed.checkpoint.state.step, change });
