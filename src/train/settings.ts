/** What a run can be told, and what it chooses where it is not told. */
import { requireEncoding, UTF8 } from '../data/encodings.ts';
import { UsageError } from '../errors.ts';
import { shownJson } from '../json.ts';
import {
  architectureNames,
  checkConfig,
  defaultConfig,
  fieldsOf,
  type ArchitectureFields,
} from '../model/architectures/registry.ts';
import { presets, type ModelConfig, type PresetName } from '../model/config.ts';
import type { TokenizerKind } from '../tokenizer/tokenizer.ts';
import type { OptimizerName, OptimizerOptions } from './optimizer.ts';
import { recipes } from './recipe.ts';
import type { ScheduleName, ScheduleOptions } from './schedule.ts';

/** What may be said about a run; what is not said follows from the corpus and the preset. */
export interface TrainModelOptions extends Partial<ArchitectureFields> {
  /** Files, folders, or `-`. */
  readonly corpus: readonly string[];
  readonly outDir?: string;
  /** Resume the run in this folder, with its options. */
  readonly resume?: string;
  /** Resume although the text has changed, or options that stored-options.ts calls `forced`. */
  readonly force?: boolean;
  readonly overwrite?: boolean;
  /** Start from the trained model in this folder; see starting-model.ts. */
  readonly initFrom?: string;
  /** The name of the model's architecture, one of model/architectures/registry.ts; default gpt2. */
  readonly arch?: string;
  readonly preset?: PresetName;
  readonly nLayer?: number;
  readonly nHead?: number;
  readonly nEmbd?: number;
  readonly blockSize?: number;
  readonly dropout?: number;
  readonly tieWordEmbeddings?: boolean;
  readonly tokenizer?: TokenizerKind;
  readonly minFrequency?: number;
  readonly vocabSize?: number;
  /** Encoding of the text and the validation text, by a label of TextDecoder; default UTF-8. A byte order mark takes precedence. */
  readonly encoding?: string;
  /** Bytes that are not text in that encoding: an error (default), or U+FFFD. */
  readonly encodingErrors?: 'strict' | 'replace';
  readonly valFraction?: number;
  readonly valFile?: string;
  readonly batchSize?: number;
  readonly gradientAccumulationSteps?: number;
  readonly maxIters?: number;
  /** How long the run may take in all, instead of maxIters; see budget.ts. */
  readonly minutes?: number;
  readonly learningRate?: number;
  readonly minLr?: number;
  readonly warmupIters?: number;
  readonly lrDecayIters?: number;
  readonly lrDecayStart?: number;
  /** The re-warm-up of an extended run: its first step (0: none), its length in steps, and the learning rate before it. Set by extension.ts. */
  readonly rewarmStart?: number;
  readonly rewarmIters?: number;
  readonly rewarmFrom?: number;
  /** The share of the decay done before lrDecayStart, and the schedules of earlier steps. Set by run-time.ts and schedule-history.ts. */
  readonly lrDecayFrom?: number;
  readonly pastSchedules?: readonly PastSchedule[];
  readonly schedule?: ScheduleName;
  readonly optimizer?: OptimizerName;
  readonly weightDecay?: number;
  readonly beta1?: number;
  readonly beta2?: number;
  readonly momentum?: number;
  readonly gradClip?: number;
  readonly evalInterval?: number;
  readonly evalIters?: number;
  readonly patience?: number;
  /** Checkpoints besides those at evaluations: every so many steps, or after so much time, such as '10m'; 0: none. */
  readonly saveEvery?: SaveEvery;
  /** Tokens of the preview written at each evaluation; 0: none. */
  readonly sampleTokens?: number;
  readonly seed?: number;
  readonly threads?: number;
  /** Measure what each kernel takes; see TrainResult.profile. */
  readonly profile?: boolean;
}

/** What decides the learning rate of a step. */
export const scheduleSettings = [
  'schedule',
  'learningRate',
  'minLr',
  'warmupIters',
  'lrDecayIters',
  'lrDecayStart',
  'lrDecayFrom',
  'rewarmStart',
  'rewarmIters',
  'rewarmFrom',
] as const;

/** A schedule that steps before `until` were taken with, counted from 0. */
export interface PastSchedule extends Required<Pick<TrainModelOptions, (typeof scheduleSettings)[number]>> {
  readonly until: number;
}

/** Options with the encoding under its canonical name, so that labels of the same one are equal. @throws UsageError */
export const withCanonicalEncoding = (options: TrainModelOptions): TrainModelOptions =>
  options.encoding === undefined ? options : { ...options, encoding: requireEncoding(options.encoding) };

/** Steps, or seconds, minutes or hours. */
export type SaveEvery = number | `${number}${'s' | 'm' | 'h'}`;

export const isSaveEvery = (text: string): text is `${number}` & SaveEvery =>
  /^\d{1,16}$|^\d{1,9}(\.\d{1,9})?[smh]$/.test(text);

/** When to save, as the training loop takes it. @throws UsageError for anything else */
export function saveInterval(saveEvery: SaveEvery): { readonly steps?: number; readonly seconds?: number } {
  if (!isSaveEvery(String(saveEvery)))
    throw new UsageError(`${shownJson(saveEvery)} is neither steps nor a time such as 10m`);
  const amount = Number.parseFloat(String(saveEvery));
  if (amount === 0) return {};
  const seconds = { s: 1, m: 60, h: 3600 }[String(saveEvery).slice(-1)];
  return seconds === undefined ? { steps: amount } : { seconds: amount * seconds };
}

/** Every option with its value: those given, and those chosen. */
export type Settings = Required<
  Omit<
    TrainModelOptions,
    | keyof ArchitectureFields
    | 'initFrom'
    | 'valFile'
    | 'minutes'
    | 'outDir'
    | 'overwrite'
    | 'threads'
    | 'profile'
    | 'resume'
    | 'force'
  >
> &
  Pick<TrainModelOptions, keyof ArchitectureFields | 'initFrom' | 'valFile'>;

/** The last part of a `wsd` schedule, in which the learning rate comes down. */
export const DECAY_SHARE = 0.25;

/** A trained model is changed in steps so much smaller than a new one is made. */
export const FINE_TUNING = 0.1;

/** The number of a micro-batch is a word of the dropout masks' counters, below those of `Stream` in engine/philox.ts. */
export const MOST_MICRO_BATCHES = 2 ** 30;

/** Fills in what the options leave open. @throws UsageError for more micro-batches than can be told apart */
export function settle(options: TrainModelOptions): Settings {
  const { gradientAccumulationSteps: microBatches = 1 } = options;
  if (microBatches > MOST_MICRO_BATCHES)
    throw new UsageError(
      `--gradient-accumulation-steps ${microBatches} is more than ${MOST_MICRO_BATCHES}, the most micro-batches of a step`,
      { hint: 'give a smaller one' },
    );
  const { arch = 'gpt2' } = options;
  if (!architectureNames().includes(arch))
    throw new UsageError(`there is no architecture ${shownJson(arch)}`, {
      hint: `known are ${architectureNames().join(', ')}`,
    });
  const preset = options.preset ?? 'nano';
  const { batchSize, ...shape } = presets[preset];
  const recipe = recipes[preset];
  const maxIters = options.maxIters ?? recipe.maxIters;
  const usual = options.initFrom === undefined ? recipe.learningRate : FINE_TUNING * recipe.learningRate;
  const { learningRate = usual } = options;
  const chosen = {
    ...defaultConfig(arch),
    ...shape,
    ...recipe,
    preset,
    batchSize,
    corpus: options.corpus,
    tokenizer: 'char' as const,
    minFrequency: 1,
    vocabSize: Infinity,
    encoding: UTF8,
    encodingErrors: 'strict' as const,
    valFraction: options.valFile === undefined ? 0.1 : 0,
    gradientAccumulationSteps: 1,
    minLr: learningRate / (options.schedule === 'wsd' ? 50 : 10),
    warmupIters: Math.min(recipe.warmupIters, Math.floor(maxIters / 10)),
    lrDecayIters: maxIters,
    lrDecayStart: Math.floor((1 - DECAY_SHARE) * (options.lrDecayIters ?? maxIters)),
    rewarmStart: 0,
    rewarmIters: 0,
    rewarmFrom: 0,
    lrDecayFrom: 0,
    pastSchedules: [],
    schedule: 'cosine' as const,
    optimizer: 'adamw' as const,
    weightDecay: 0.1,
    beta1: 0.9,
    momentum: 0.9,
    gradClip: 1,
    evalInterval: Math.max(1, Math.min(250, Math.ceil(maxIters / 10))),
    evalIters: 20,
    patience: 0,
    saveEvery: '10m' as const,
    sampleTokens: 0,
    seed: 1337,
  };
  const given = Object.entries(options).filter(
    ([name, value]) => value !== undefined && !ONE_INVOCATION.has(name),
  );
  return { ...chosen, ...Object.fromEntries(given), maxIters, learningRate };
}

/** The learning rate schedule of a run. */
export const scheduleOptions = (settings: Settings): ScheduleOptions => ({
  ...scheduleOf(settings),
  past: settings.pastSchedules.map((past) => ({ ...scheduleOf(past), until: past.until })),
});

const scheduleOf = (settings: Omit<PastSchedule, 'until'>): Omit<ScheduleOptions, 'past'> => ({
  ...settings,
  minLearningRate: settings.minLr,
  decayIters: settings.lrDecayIters,
  decayStart: settings.lrDecayStart,
  decayFrom: settings.lrDecayFrom,
});

/** The model that a run trains. */
export function modelConfig(settings: Settings, vocabSize: number): ModelConfig {
  const { arch, nLayer, nHead, nEmbd, blockSize, dropout, tieWordEmbeddings } = settings;
  const common = { arch, vocabSize, blockSize, nLayer, nHead, nEmbd, dropout, tieWordEmbeddings };
  return checkConfig({ ...common, ...fieldsOf(arch, settings) });
}

export const optimizerOptions = (settings: Settings): OptimizerOptions => ({ ...settings, epsilon: 1e-8 });

/** Options that affect one invocation only; never stored in a checkpoint. */
const ONE_INVOCATION: ReadonlySet<string> = new Set([
  'outDir',
  'resume',
  'force',
  'overwrite',
  'threads',
  'profile',
  'minutes',
]);
