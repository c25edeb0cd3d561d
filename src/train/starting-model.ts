/**
 * Fine-tuning: training that starts from a trained model instead of random parameters. Shape and tokenizer are the
 * model's; the options choose the text and the training.
 */
import { isDeepStrictEqual } from 'node:util';
import { openModelFolder, type ModelFolder } from '../checkpoint/model-folder.ts';
import { resolveRun } from '../checkpoint/runs.ts';
import { UsageError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { optionName } from '../messages.ts';
import { architectureOf, fieldsOf } from '../model/architectures/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { elements, parameterTable } from '../model/parameters.ts';
import { writeTensor, type TensorTarget } from '../model/tensor.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { TrainModelOptions } from './settings.ts';

export interface StartingModel {
  /** The options, completed with the model's shape. */
  readonly options: TrainModelOptions;
  readonly tokenizer: Tokenizer;
  /** Overwrites all trained parameters. */
  load(into: readonly TensorTarget[]): void;
}

/** Options that a trained model determines, besides the fields of its architecture. */
const SHAPE = ['arch', 'nLayer', 'nHead', 'nEmbd', 'tieWordEmbeddings'] as const;
const VOCABULARY = ['vocabSize', 'minFrequency'] as const;

/**
 * Opens the model of `initFrom`, if there is one.
 *
 * A `blockSize` below the model's uses its first positions. One above it is rejected, because the model has no
 * embeddings for those positions, unless they are sinusoidal and thus defined for any length.
 *
 * @throws UserError if the model cannot be read, UsageError for options that contradict it
 */
export function openStartingModel(options: TrainModelOptions): StartingModel | undefined {
  const { initFrom, blockSize } = options;
  if (initFrom === undefined) return undefined;
  if (options.preset !== undefined)
    throw conflict(
      `${optionName('preset')} and ${optionName('initFrom')} both determine the model`,
      'use only one of them',
    );
  const model = openModelFolder(resolveRun(initFrom));
  const { config, tokenizer } = model;
  const shape = {
    ...Object.fromEntries(SHAPE.map((name) => [name, config[name]])),
    ...fieldsOf(config.arch, config),
  };
  checkShape(options, initFrom, shape);
  checkOrigin(options, initFrom, tokenizer);
  checkLength(options, initFrom, config);
  return {
    options: { ...options, ...shape, blockSize: blockSize ?? config.blockSize, tokenizer: tokenizer.kind },
    tokenizer,
    load: (into) => loadInto(model, into),
  };
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
  for (const name of VOCABULARY)
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

/** @throws UsageError for a context that is longer than the model's positions */
function checkLength({ blockSize }: TrainModelOptions, initFrom: string, config: ModelConfig): void {
  if (blockSize === undefined || blockSize <= config.blockSize) return;
  if (architectureOf(config).isUnboundedInLength(config)) return;
  throw new UsageError(
    'bad-option-value',
    `${optionName('blockSize')} ${blockSize} is longer than the ${config.blockSize} that ${initFrom} was trained with`,
    { hint: `omit it, or use at most ${config.blockSize}` },
  );
}

/** Only the position table may differ in size: a shorter one, or a sinusoidal one, which is the same for every model. */
function loadInto(model: ModelFolder, into: readonly TensorTarget[]): void {
  const targets = new Map(into.map((target) => [target.name, target]));
  model.load(
    parameterTable(model.config).map(({ name, shape }) => {
      const target = targets.get(name)!;
      return elements(shape) === elements(target.shape) ? target : clipped(target, shape);
    }),
  );
}

/** A target for as many rows of a table as fit into another; if the table has fewer rows, the rest are unchanged. */
function clipped(target: TensorTarget, shape: readonly number[]): TensorTarget {
  const room = elements(shape) < elements(target.shape) ? 0 : elements(target.shape);
  return {
    name: target.name,
    shape,
    write(numbers, start = 0) {
      if (start < room) writeTensor(target, numbers.subarray(0, room - start), start);
    },
  };
}
