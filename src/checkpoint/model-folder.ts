/**
 * A trained model on disk, as a Hugging Face model folder:
 *
 *     config.json  tokenizer.json  tokenizer_config.json  generation_config.json   description, written once
 *     model.safetensors                                                            weights
 *
 * Weights are written last and atomically, so a folder that has them is complete.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { isAdapter } from '../model/parameter.ts';
import { parameterTable } from '../model/parameters.ts';
import type { StorageOf } from '../model/placement.ts';
import type { NamedTensor, TensorSource, TensorTarget } from '../model/tensor.ts';
import { readTextFile } from '../read-file.ts';
import { padded, type Tokenizer } from '../tokenizer/tokenizer.ts';
import {
  makeFolder,
  streamFileAtomic,
  writeFileAtomic,
  type Bytes,
  type FileStreamer,
  type FileWriter,
  type Written,
} from '../write-file.ts';
import { ADAPTER_CONFIG, toAdapterConfigJson } from './adapter-config.ts';
import { whyNoModel } from './foreign-models.ts';
import { fromConfigJson, toConfigJson, type TorchDtype } from './huggingface.ts';
import { toGenerationConfigJson, withBoundaries } from './generation-config.ts';
import { OWN_MARK } from './own-config.ts';
import { loadParameters, parameterReader, storageIn, type ParameterReader } from './parameter-tensors.ts';
import type { WeightDtype } from './safetensors-dtypes.ts';
import {
  encodedSafetensors,
  safetensorsPieces,
  streamSafetensors,
  type LazyTensor,
  type TensorLoadOptions,
} from './safetensors.ts';
import { toTokenizerConfigJson } from './tokenizer-config.ts';
import { readTokenizer } from './tokenizer-files.ts';
import { ADAPTER_WEIGHTS, openWeights, WEIGHTS } from './weights.ts';

export { WEIGHTS } from './weights.ts';

/** Metadata of final weights: loss on the whole validation split, and its number of tokens. */
export const VALIDATION_LOSS = 'val_loss';
export const VALIDATION_TOKENS = 'val_tokens';
/** Metadata of weights that may still be replaced: estimated loss. */
export const ESTIMATED_LOSS = 'val_loss_estimate';
/** Metadata key, "true" for weights that are a moving average of the trained ones. */
export const IS_AVERAGE = 'is_average';

/** In bytes. A config.json has a few kilobytes. */
const LARGEST_CONFIG = 1e6;

/**
 * Writes everything but the weights.
 *
 * @param write writes one file, on its own or as part of a new folder
 * @param dtype of the weights
 */
export function writeModelDescription(
  folder: string,
  config: ModelConfig,
  tokenizer: Tokenizer,
  {
    write = writeFileAtomic,
    dtype = 'float32',
  }: { readonly write?: FileWriter; readonly dtype?: TorchDtype } = {},
): void {
  makeFolder(folder);
  const generation = {
    'generation_config.json': jsonText({
      ...toGenerationConfigJson(config, tokenizer),
      ...(config.lora !== undefined && OWN_MARK), // PEFT warns of unknown fields in adapter_config.json
    }),
  };
  // The file with our mark is written first: after a crash it shows that the others are ours.
  const files: Record<string, string> = {
    ...(config.lora === undefined
      ? { 'config.json': jsonText(toConfigJson(config, tokenizer, dtype)) }
      : { ...generation, [ADAPTER_CONFIG]: jsonText(toAdapterConfigJson(config, config.lora)) }),
    'tokenizer.json': tokenizerText(tokenizer),
    'tokenizer_config.json': jsonText(toTokenizerConfigJson(config, tokenizer)),
    ...generation,
  };
  for (const [file, content] of Object.entries(files)) write(join(folder, file), [content]);
}

/** The content of tokenizer.json: the file that was read, byte for byte, or a new one. */
export const tokenizerText = (tokenizer: Tokenizer): string =>
  tokenizer.source ?? jsonText(tokenizer.toJSON());

/** The content of a JSON file. */
export const jsonText = (content: unknown): string => `${JSON.stringify(content, undefined, 2)}\n`;

/**
 * Writes or replaces the weights.
 *
 * @param metadata strings stored in the file: step, loss, and `modelFacts`
 */
export function writeWeights(
  folder: string,
  config: ModelConfig,
  tensors: readonly TensorSource[],
  metadata: Readonly<Record<string, string>>,
  {
    file = weightsFile(config),
    write = streamFileAtomic,
    written,
  }: { readonly file?: string; readonly write?: FileStreamer; readonly written?: Written } = {},
): Promise<void> {
  const stored = storedTensors(config, tensors);
  return write(join(folder, file), streamSafetensors(stored, { ...metadata, ...CONVENTIONS }), written);
}

/** The content of a weights file, in chunks. */
export const weightsPieces = (
  config: ModelConfig,
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>>,
): Bytes[] => safetensorsPieces(storedTensors(config, tensors), { ...metadata, ...CONVENTIONS });

/** The same for parameters that are read one at a time, all of one dtype. */
export const encodedWeights = (
  config: ModelConfig,
  parameters: readonly LazyTensor[],
  metadata: Readonly<Record<string, string>>,
  dtype: WeightDtype,
): Generator<Uint8Array> =>
  encodedSafetensors(storedTensors(config, parameters), { ...metadata, ...CONVENTIONS }, dtype);

/** transformers loads a file only if it names the library whose conventions it follows. */
const CONVENTIONS = { format: 'pt' };

/** The tensors under the names that they have in a file. */
const storedTensors = <T extends { readonly name: string }>(
  config: ModelConfig,
  tensors: readonly T[],
): T[] =>
  savedTensors(config, tensors).map((tensor) => ({ ...tensor, name: toFileName(config, tensor.name) }));

/** A parameter's tensor name in a weights file. PEFT uses the names within its wrapper of the model. */
export const toFileName = (config: ModelConfig, parameter: string): string =>
  `${config.lora === undefined ? '' : 'base_model.model.'}${architectureOf(config).huggingFace.toTensorName(parameter)}`;

/** Selects the tensors that a weights file holds: only the adapters, if the model has any. */
export function savedTensors<T extends { readonly name: string }>(
  config: ModelConfig,
  tensors: readonly T[],
): readonly T[] {
  if (config.lora === undefined) return tensors;
  const saved = new Set(
    parameterTable(config)
      .filter(isAdapter)
      .map(({ name }) => name),
  );
  return tensors.filter(({ name }) => saved.has(name));
}

/** Name of the weights file: that of the adapters alone, if the model has any. */
export const weightsFile = ({ lora }: Pick<ModelConfig, 'lora'>): string =>
  lora === undefined ? WEIGHTS : ADAPTER_WEIGHTS;

/** Metadata key of an adapter's weights: identifies the weights of its base. */
export const BASE_FINGERPRINT = 'base_fingerprint';
export const FACT_OF_TOKENIZER = 'tokenizer_sha256';

/** Settings that tensor shapes do not determine, as strings for the metadata of the weights. */
export function modelFacts(config: ModelConfig, tokenizer: Tokenizer): Record<string, string> {
  const json = toConfigJson(config, tokenizer);
  const fields = architectureOf(config).huggingFace.factFields;
  const model = tokenizer.modelJson?.() ?? (tokenizer.toJSON() as { model: unknown }).model;
  const hash = createHash('sha256').update(JSON.stringify([tokenizer.kind, model]));
  return {
    ...Object.fromEntries(fields.map((field) => [field, factText(json[field])])),
    [FACT_OF_TOKENIZER]: hash.digest('hex'),
    ...(config.lora?.base.fingerprint !== undefined && { [BASE_FINGERPRINT]: config.lora.base.fingerprint }),
  };
}

/** A field of config.json as text. */
const factText = (value: unknown): string =>
  typeof value === 'string' ? value : JSON.stringify(value ?? null);

/** Verifies that the files of a folder belong to one model. */
export function checkFacts(
  folder: string,
  metadata: Readonly<Record<string, string>>,
  facts: Record<string, string>,
  file: string,
): void {
  for (const [field, value] of Object.entries(facts)) {
    const written = metadata[field];
    if (written === undefined || written === value) continue;
    const hint = 'the two belong to different models, or one was changed by hand';
    if (field === FACT_OF_TOKENIZER)
      throw new UserError(
        'mismatched-files',
        `${folder}: tokenizer.json is not the one ${file} was trained with`,
        {
          hint,
        },
      );
    throw new UserError(
      'mismatched-files',
      `${folder}: "${field}" is ${value} in config.json, but ${file} was trained with ${shownJson(written)}`,
      { hint },
    );
  }
}

/** A validated model folder whose weights are not loaded yet. */
export interface ModelFolder {
  readonly folder: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** Metadata of the weights: strings such as the step. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The frozen model below adapters. */
  readonly base?: ModelFolder;
  /** How parameters are stored in memory if they are only read: in the precision of the file. */
  readonly storageOf: StorageOf;
  /** Loads the weights, one tensor after the other, verifying their checksum and that they are finite. */
  load(into: readonly TensorTarget[], options?: TensorLoadOptions): void;
  /** Opens the weights to read one parameter at a time. The file's checksum is verified first. */
  open(options?: TensorLoadOptions): ParameterReader;
}

/** Reads the tokenizer of a folder and checks that it belongs to the model. @throws UserError naming the file */
export function readFittingTokenizer(
  folder: string,
  { vocabSize }: Pick<ModelConfig, 'vocabSize'>,
  configFolder = folder,
): Tokenizer {
  const found = readTokenizer(folder, vocabSize);
  // Embeddings are often padded to a round size, such as 50,304 for 50,257 tokens, but not to an arbitrary one.
  const mayBePadded = found.kind === 'bpe' && vocabSize < 2 * found.vocabSize;
  const fitting = mayBePadded ? padded(found, vocabSize) : found;
  checkRows(folder, fitting, vocabSize);
  if (fitting.vocabSize !== vocabSize)
    throw new UserError(
      'mismatched-files',
      `${join(configFolder, 'config.json')} has a vocab_size of ${vocabSize}, but the tokenizer of ${folder} has ${fitting.vocabSize} tokens`,
      { hint: 'the two belong to different models' },
    );
  return withBoundaries(fitting, folder);
}

/**
 * Opens a model folder that is not an adapter.
 *
 * @param file name of the weights file: a checkpoint may have others, such as the average
 * @throws UserError naming the file that is missing, damaged, or inconsistent with the others
 */
export function openWholeModel(folder: string, file = WEIGHTS): ModelFolder {
  const problem = whyNoModel(folder);
  if (problem !== undefined) throw problem;
  const configPath = join(folder, 'config.json');
  const described = fromConfigJson(readTextFile(configPath, LARGEST_CONFIG), configPath);
  const { config } = described;
  const tokenizer = readFittingTokenizer(folder, config);
  const weights = openWeights(folder, file);
  const { metadata } = weights;
  let storageOf: StorageOf;
  try {
    storageOf = storageIn(weights, described);
    if (FACT_OF_TOKENIZER in metadata) checkFacts(folder, metadata, modelFacts(config, tokenizer), file);
  } finally {
    weights.close();
  }
  return {
    folder,
    config,
    tokenizer,
    metadata,
    storageOf,
    load(into, options) {
      const opened = openWeights(folder, file);
      try {
        loadParameters(opened, described, into, options);
      } finally {
        opened.close();
      }
    },
    open(options) {
      const opened = openWeights(folder, file);
      try {
        opened.load(new Map(), options);
        return parameterReader(opened, described);
      } catch (error) {
        opened.close();
        throw error;
      }
    },
  };
}

/** A common mistake: adding a special token to the tokenizer without resizing the embedding. */
function checkRows(folder: string, { vocabulary, special }: Tokenizer, rows: number): void {
  const named = [...Object.values(special.roles), ...special.extra];
  const token = vocabulary.slice(rows).find((text) => named.includes(text));
  if (token !== undefined)
    throw new UserError(
      'mismatched-files',
      `${folder}: the special token ${shownJson(token)} has no row in the embedding: config.json has a vocab_size of ${rows}, but the tokenizer has ${vocabulary.length} tokens`,
      { hint: 'in transformers, call model.resize_token_embeddings(len(tokenizer)) and save both again' },
    );
}
