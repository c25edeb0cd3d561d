/** The options given for a run, and the resulting settings. */
import { requireEncoding } from '../data/encodings.ts';
import { UsageError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { optionName } from '../messages.ts';
import { architectureNames, checkConfig, fieldsOf } from '../model/architectures/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import type { LoraConfig } from '../model/lora.ts';
import { DEFAULT_ARCHITECTURE } from './options/model.ts';
import { optionsOf, optionTable, type ChosenOptions, type GivenOptions } from './options.ts';
import type { PastSchedule } from './past-schedule.ts';
import type { TrainingShape } from './programs.ts';
import type { ScheduleOptions } from './schedule.ts';
import type { TrainerOptions } from './trainer.ts';

/** Options of a run. Omitted ones are chosen from the corpus and the preset. */
export interface TrainModelOptions extends GivenOptions {
  /** Files, folders, or `-`. */
  readonly corpus: readonly string[];
  readonly outDir?: string;
  /** Resume the run in this folder, with its options. */
  readonly resume?: string;
  /** Resume although the text has changed, or options that are `forced` in options.ts. */
  readonly force?: boolean;
  readonly overwrite?: boolean;
  readonly threads?: number;
  /** Measure the time of each kernel; see TrainResult.profile. */
  readonly profile?: boolean;
}

/** Options with the canonical name of the encoding, so that different labels compare equal. @throws UsageError */
export const withCanonicalEncoding = (options: TrainModelOptions): TrainModelOptions =>
  options.encoding === undefined ? options : { ...options, encoding: requireEncoding(options.encoding) };

/** The value of every stored option, given or chosen. Plain and immutable. */
export type Settings = ChosenOptions & Pick<TrainModelOptions, 'corpus'>;

/**
 * Completes options with their defaults.
 *
 * @throws UsageError for a value that its option does not accept, or an option that does not apply to the architecture
 */
export function resolveOptions(options: TrainModelOptions): Settings {
  const given = options as unknown as Readonly<Record<string, unknown>>;
  const { arch = DEFAULT_ARCHITECTURE } = options;
  if (!architectureNames().includes(arch))
    throw new UsageError(
      'bad-option-value',
      `${optionName('arch')} is ${shownJson(arch)}, not one of ${architectureNames().join(', ')}`,
    );
  const table = optionsOf(arch);
  for (const [name, { value }] of optionTable()) {
    if (given[name] === undefined) continue;
    if (!table.has(name))
      throw new UsageError('unknown-name', `${optionName(name)} does not apply to the architecture ${arch}`);
    if (!value.is(given[name]))
      throw new UsageError(
        'bad-option-value',
        `${optionName(name)} is ${shownJson(given[name])}, not ${value.expected}`,
      );
  }

  // Defaults may depend on one another in any order, so each is computed on first access.
  const chosen = {} as Record<string, unknown>;
  for (const [name, row] of table) {
    if (row.onResume === 'invocation') continue;
    const choose = (): unknown =>
      given[name] ?? (typeof row.default === 'function' ? row.default(chosen) : row.default);
    Object.defineProperty(chosen, name, { get: memoized(choose), enumerable: true });
  }
  return { corpus: options.corpus, ...chosen } as Settings;
}

function memoized<T>(compute: () => T): () => T {
  let value: { readonly of: T } | undefined;
  return () => (value ??= { of: compute() }).of;
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
  decayType: settings.lrDecayType,
});

/** The model that a run trains. */
export function modelConfig(settings: Settings, vocabSize: number): ModelConfig {
  const { arch, nLayer, nHead, nEmbd, blockSize, dropout, tieWordEmbeddings } = settings;
  const common = { arch, vocabSize, blockSize, nLayer, nHead, nEmbd, dropout, tieWordEmbeddings };
  const lora = loraConfig(settings);
  return checkConfig({ ...common, ...fieldsOf(arch, settings), ...(lora !== undefined && { lora }) });
}

/** The adapters that a run trains; undefined if it trains the whole model. */
export const loraConfig = (
  settings: Pick<
    Settings,
    'loraRank' | 'loraAlpha' | 'loraDropout' | 'loraTargets' | 'useRslora' | 'loraBase'
  >,
): LoraConfig | undefined =>
  settings.loraRank === undefined
    ? undefined
    : {
        rank: settings.loraRank,
        alpha: settings.loraAlpha!,
        dropout: settings.loraDropout!,
        targets: settings.loraTargets!.split(','),
        isRankStabilized: settings.useRslora!,
        base: settings.loraBase!,
      };

/** The layout of a run in memory. */
export function trainingShape(settings: Settings, config: ModelConfig): TrainingShape {
  const {
    batchSize,
    gradientAccumulationSteps: microBatches,
    optimizer,
    muonScale,
    labelSmoothing,
    emaDecay,
    documentMask: hasDocumentMask,
  } = settings;
  return {
    config,
    batchSize,
    microBatches,
    optimizer,
    muonScale,
    labelSmoothing,
    hasAverage: emaDecay > 0,
    hasDocumentMask,
  };
}

export const trainerOptions = (settings: Settings): TrainerOptions => ({
  ...settings,
});
