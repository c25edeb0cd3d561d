/**
 * Fine-tuning: training that starts from a trained model instead of random parameters. Shape and tokenizer are the
 * model's; the options choose the text and the training.
 */
import { isDeepStrictEqual } from 'node:util';
import { type ModelFolder } from '../checkpoint/model-folder.ts';
import { openModelFolder } from '../checkpoint/open-model.ts';
import { resolveRun } from '../checkpoint/runs.ts';
import { UsageError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { optionName } from '../messages.ts';
import { baseFingerprint } from '../checkpoint/base-fingerprint.ts';
import { checkTargets, linearLayers } from '../model/lora.ts';
import { isFixed } from '../model/parameter.ts';
import { architectureOf, fieldsOf } from '../model/architectures/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { elements, parameterTable } from '../model/parameters.ts';
import type { StorageOf } from '../model/placement.ts';
import { withNewRows, type NewRows } from '../model/new-rows.ts';
import { clipped, type TensorTarget } from '../model/tensor.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { TrainModelOptions } from './settings.ts';

export interface StartingModel {
  /** The options, completed with the model's shape. */
  readonly options: TrainModelOptions;
  readonly tokenizer: Tokenizer;
  /** Names of the parameters that `load` overwrites; a fixed table may be among them or not. */
  readonly loaded: ReadonlySet<string>;
  /** How its files store parameters. */
  readonly storageOf: StorageOf;
  /** @param newRows of tokens that the model does not have */
  load(into: readonly TensorTarget[], newRows?: NewRows): void;
}

/** Options that a trained model determines, besides the fields of its architecture. */
const SHAPE = ['arch', 'nLayer', 'nHead', 'nEmbd', 'tieWordEmbeddings'] as const;

/**
 * Opens the model of `initFrom`, if there is one.
 *
 * A `blockSize` below the model's uses its first positions. One above it is rejected where positions are learned, because
 * the model has none beyond; sinusoidal and rotary ones are defined for any length.
 *
 * @throws UserError if the model cannot be read, UsageError for options that contradict it
 */
export function openStartingModel(options: TrainModelOptions): StartingModel | undefined {
  const { initFrom } = options;
  if (initFrom === undefined) return withoutModel(options);
  if (options.preset !== undefined)
    throw conflict(
      `${optionName('preset')} and ${optionName('initFrom')} both determine the model`,
      'use only one of them',
    );
  const model = openModelFolder(resolveRun(initFrom), { base: options.base });
  const { config, tokenizer } = model;
  const shape = {
    ...Object.fromEntries(SHAPE.map((name) => [name, config[name]])),
    ...fieldsOf(config.arch, config),
    ...adapterShape(config),
  };
  checkShape(options, initFrom, shape);
  checkOrigin(options, initFrom, tokenizer);
  checkLength(options, initFrom, config);
  const adapters =
    config.lora === undefined ? newAdapters(options, model) : continuedAdapters(options, model);
  const hasAdapters = adapters.loraRank !== undefined;
  const { blockSize = Math.min(config.blockSize, hasAdapters ? MAX_ADAPTER_BLOCK : Infinity) } = options;
  return {
    options: { ...options, ...shape, ...adapters, blockSize, tokenizer: tokenizer.kind },
    tokenizer,
    loaded: new Set(
      parameterTable(config)
        .filter((parameter) => !isFixed(parameter))
        .map(({ name }) => name),
    ),
    storageOf: model.storageOf,
    load: (into, newRows) => loadInto(model, into, newRows),
  };
}

/** Default context length for training adapters: a step over the full context of an open model takes minutes on a CPU. */
const MAX_ADAPTER_BLOCK = 512;

/** @throws UsageError for adapters without a model */
function withoutModel({ loraRank }: TrainModelOptions): undefined {
  if (loraRank === undefined) return undefined;
  throw conflict(
    `${optionName('loraRank')} needs ${optionName('initFrom')}`,
    'adapters belong to a trained model: pass its folder, or omit them to train a new model',
  );
}

/** The options of an adapter that is trained further. */
function adapterShape({ lora }: ModelConfig): Record<string, unknown> {
  if (lora === undefined) return {};
  const { rank, alpha, targets, isRankStabilized } = lora;
  return { loraRank: rank, loraAlpha: alpha, loraTargets: targets.join(','), useRslora: isRankStabilized };
}

type AdapterOptions = Pick<TrainModelOptions, 'loraRank' | 'loraDropout' | 'loraTargets' | 'loraBase'>;

/** The options that new adapters need besides the given ones. */
function newAdapters(options: TrainModelOptions, { folder, config }: ModelFolder): AdapterOptions {
  const { loraRank, loraTargets = 'all-linear' } = options;
  if (loraRank === undefined) return {};
  checkOptimizer(options);
  const table = parameterTable(config);
  const targets = loraTargets === 'all-linear' ? linearLayers(table) : [...new Set(loraTargets.split(','))];
  checkTargets(table, targets, architectureOf(config).huggingFace);
  return {
    loraRank,
    loraTargets: targets.join(','),
    loraBase: { path: folder, fingerprint: baseFingerprint(folder) },
  };
}

function continuedAdapters(options: TrainModelOptions, { config, base }: ModelFolder): AdapterOptions {
  checkOptimizer(options);
  const { rank, dropout } = config.lora!;
  const { folder } = base!;
  return {
    loraRank: rank,
    loraDropout: options.loraDropout ?? dropout,
    loraBase: { path: folder, fingerprint: baseFingerprint(folder) },
  };
}

/** @throws UsageError for an optimizer of whole matrices */
function checkOptimizer({ optimizer }: TrainModelOptions): void {
  if (optimizer === 'muon')
    throw conflict(
      `${optionName('optimizer')} muon updates the matrices of linear layers, which adapters leave frozen`,
      `use ${optionName('optimizer')} adamw, the default`,
    );
}

const conflict = (message: string, hint: string): UsageError =>
  new UsageError('conflicting-options', message, { hint });

/** @throws UsageError for an option that gives the model another shape */
function checkShape(
  options: TrainModelOptions,
  initFrom: string,
  shape: Readonly<Record<string, unknown>>,
): void {
  for (const [name, value] of Object.entries(shape)) {
    const given = (options as unknown as Readonly<Record<string, unknown>>)[name];
    if (given !== undefined && !isDeepStrictEqual(given, value))
      throw conflict(
        `${optionName(name)} is ${shownJson(given)}, but ${initFrom} has ${shownJson(value)}`,
        'omit it: the shape comes from the model',
      );
  }
}

/** @throws UsageError for an option about a new vocabulary, another tokenizer or new weights */
function checkOrigin(options: TrainModelOptions, initFrom: string, tokenizer: Tokenizer): void {
  const counts = options.growVocab === true && tokenizer.kind !== 'bpe';
  for (const name of ['vocabSize', 'rareWords', ...(counts ? [] : (['minFrequency'] as const))] as const)
    if (options[name] !== undefined)
      throw conflict(`${optionName(name)} has no effect: ${initFrom} already has a vocabulary`, 'omit it');
  if (options.initialization !== undefined)
    throw conflict(
      `${optionName('initialization')} has no effect: ${initFrom} already has weights`,
      'omit it',
    );
  const { tokenizer: kind = tokenizer.kind } = options;
  if (kind !== tokenizer.kind)
    throw conflict(
      `${optionName('tokenizer')} is ${kind}, but ${initFrom} uses ${tokenizer.kind}`,
      'omit it: a model works only with its own tokenizer',
    );
}

/** @throws UsageError for a context that is longer than the model's positions, or than what an adapter's base will have */
function checkLength(
  { blockSize, loraRank }: TrainModelOptions,
  initFrom: string,
  config: ModelConfig,
): void {
  if (blockSize === undefined || blockSize <= config.blockSize) return;
  const hasAdapters = loraRank !== undefined || config.lora !== undefined;
  const isUnbounded = architectureOf(config).isUnboundedInLength(config);
  if (isUnbounded && !hasAdapters) return;
  const { blockSize: name } = architectureOf(config).huggingFace.configNames;
  throw new UsageError(
    'bad-option-value',
    `${optionName('blockSize')} ${blockSize} is longer than the ${config.blockSize} that ${initFrom} was trained with`,
    {
      hint: isUnbounded
        ? `adapters have the context of their base: omit it, or set "${name}" to ${blockSize} in the base's config.json, which its rotary positions allow`
        : `its positions are learned, and it has none beyond: omit it, or use at most ${config.blockSize}`,
    },
  );
}

/** Only tables of tokens and positions may differ in size: a shorter one, or a sinusoidal one, which is the same for every model. */
function loadInto(model: ModelFolder, into: readonly TensorTarget[], newRows: NewRows | undefined): void {
  const targets = new Map(into.map((target) => [target.name, target]));
  model.load(
    parameterTable(model.config).map(({ name, shape, role }) => {
      const target = targets.get(name)!;
      if (newRows !== undefined && (role === 'token embedding' || role === 'output head'))
        return withNewRows(target, shape, newRows);
      return elements(shape) === elements(target.shape) ? target : clipped(target, shape);
    }),
  );
}
