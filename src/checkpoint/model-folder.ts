/**
 * A trained model on disk: a Hugging Face model folder.
 *
 *     config.json  tokenizer.json  tokenizer_config.json  generation_config.json   what the model is; written once
 *     model.safetensors                                                            the weights
 *
 * The weights are written last and atomically, so a folder that has them is complete.
 */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors.ts';
import { shownJson } from '../json.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import type { NamedTensor } from '../model/placement.ts';
import { readTextFile } from '../read-file.ts';
import { padded, type Tokenizer } from '../tokenizer/tokenizer.ts';
import { makeFolder, writeFileAtomic, type FileWriter } from '../write-file.ts';
import { modelLocation } from './checkpoint-folders.ts';
import { whyNoModel } from './foreign-models.ts';
import { fromConfigJson, toConfigJson } from './huggingface.ts';
import { toGenerationConfigJson, withBoundaries } from './generation-config.ts';
import { loadParameters, matchTensors } from './parameter-tensors.ts';
import { safetensorsPieces, type LoadOptions } from './safetensors.ts';
import { toTokenizerConfigJson } from './tokenizer-config.ts';
import { readTokenizer } from './tokenizer-files.ts';
import { openWeights, WEIGHTS } from './weights.ts';

export { WEIGHTS } from './weights.ts';

/** In the metadata of weights that are the result of a run: their loss on the whole validation split, and its tokens. */
export const VALIDATION_LOSS = 'val_loss';
export const VALIDATION_TOKENS = 'val_tokens';
/** In the metadata of weights that a run may still replace: their loss as its evaluations estimate it. */
export const ESTIMATED_LOSS = 'val_loss_estimate';

/** In bytes. A config.json has some kilobytes. */
const LARGEST_CONFIG = 1e6;

/** Writes everything but the weights. @param write how a file is written; by itself, or as a part of a new folder */
export function writeModelDescription(
  folder: string,
  config: ModelConfig,
  tokenizer: Tokenizer,
  write: FileWriter = writeFileAtomic,
): void {
  makeFolder(folder);
  const files: Record<string, unknown> = {
    'config.json': toConfigJson(config, tokenizer),
    'tokenizer.json': tokenizer.toJSON(),
    'tokenizer_config.json': toTokenizerConfigJson(config, tokenizer),
    'generation_config.json': toGenerationConfigJson(config, tokenizer),
  };
  for (const [file, content] of Object.entries(files)) writeJson(join(folder, file), content, write);
}

export const writeJson = (path: string, content: unknown, write: FileWriter = writeFileAtomic): void =>
  write(path, [`${JSON.stringify(content, undefined, 2)}\n`]);

/**
 * Writes or replaces the weights.
 *
 * @param metadata strings kept in the file: the step, the loss, and `modelFacts`
 */
export function writeWeights(
  folder: string,
  config: ModelConfig,
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>>,
  write: FileWriter = writeFileAtomic,
): void {
  write(join(folder, WEIGHTS), weightsPieces(config, tensors, metadata));
}

/** The bytes of a file of weights, in pieces. */
export function weightsPieces(
  config: ModelConfig,
  tensors: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>>,
): (Uint8Array | Float32Array)[] {
  const { toTensorName } = architectureOf(config).huggingFace;
  const named = tensors.map((tensor) => ({ ...tensor, name: toTensorName(tensor.name) }));
  // transformers loads a file only if it says which library's conventions it follows
  return safetensorsPieces(named, { ...metadata, format: 'pt' });
}

const FACT_OF_TOKENIZER = 'tokenizer_sha256';

/** What the weights were trained with and their shapes do not show. It stands in their metadata, as strings. */
export function modelFacts(config: ModelConfig, tokenizer: Tokenizer): Record<string, string> {
  const json = toConfigJson(config, tokenizer);
  const fields = architectureOf(config).huggingFace.factFields;
  const { model } = tokenizer.toJSON() as { model: unknown };
  const hash = createHash('sha256').update(JSON.stringify([tokenizer.kind, model]));
  return {
    ...Object.fromEntries(fields.map((field) => [field, String(json[field])])),
    [FACT_OF_TOKENIZER]: hash.digest('hex'),
  };
}

/** Whether the files of a folder are of one model. */
function checkFacts(
  folder: string,
  metadata: Readonly<Record<string, string>>,
  facts: Record<string, string>,
) {
  for (const [field, value] of Object.entries(facts)) {
    const written = metadata[field];
    if (written === undefined || written === value) continue;
    const hint = 'the two belong to different models, or one was changed by hand';
    if (field === FACT_OF_TOKENIZER)
      throw new UserError(
        'mismatched-files',
        `${folder}: tokenizer.json is not the one that ${WEIGHTS} was trained with`,
        {
          hint,
        },
      );
    throw new UserError(
      'mismatched-files',
      `${folder}: config.json has the ${field} ${value}, ${WEIGHTS} was trained with ${shownJson(written)}`,
      { hint },
    );
  }
}

/** A model folder that has been read and checked, but for the numbers themselves. */
export interface ModelFolder {
  readonly folder: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** What the writer noted in the weights: strings such as the step. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Reads the weights into memory laid out for this model; verifies their checksum, and that they are finite. */
  load(into: readonly NamedTensor[], options?: LoadOptions): void;
}

/**
 * @throws UserError that names the file and what is wrong with it: missing, damaged, or not fitting the others
 */
export function openModelFolder(path: string): ModelFolder {
  const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const folder = isFolder ? modelLocation(path) : path;
  const problem = whyNoModel(folder);
  if (problem !== undefined) throw problem;
  const configPath = join(folder, 'config.json');
  const described = fromConfigJson(readTextFile(configPath, LARGEST_CONFIG), configPath);
  const { config } = described;
  const found = readTokenizer(folder, config.vocabSize);
  // A table of embeddings may have rows to spare, as 50,304 is a rounder number than 50,257; but not any number.
  const mayBePadded = found.kind === 'bpe' && config.vocabSize < 2 * found.vocabSize;
  const fitting = mayBePadded ? padded(found, config.vocabSize) : found;
  checkRows(folder, fitting, config.vocabSize);
  if (fitting.vocabSize !== config.vocabSize)
    throw new UserError(
      'mismatched-files',
      `${folder}: config.json has a vocab_size of ${config.vocabSize}, its tokenizer has ${fitting.vocabSize} tokens`,
      { hint: 'the two belong to different models' },
    );
  const tokenizer = withBoundaries(fitting, folder);
  const weights = openWeights(folder);
  const { metadata } = weights;
  try {
    matchTensors(weights, config);
    if (FACT_OF_TOKENIZER in metadata) checkFacts(folder, metadata, modelFacts(config, tokenizer));
  } finally {
    weights.close();
  }
  return {
    folder,
    config,
    tokenizer,
    metadata,
    load(into, options) {
      const opened = openWeights(folder);
      try {
        loadParameters(opened, described, into, options);
      } finally {
        opened.close();
      }
    },
  };
}

/** Adding a special token to a tokenizer without resizing the model's embedding is a common mistake. */
function checkRows(folder: string, { vocabulary, special }: Tokenizer, rows: number): void {
  const named = [...Object.values(special.roles), ...special.extra];
  const token = vocabulary.slice(rows).find((text) => named.includes(text));
  if (token !== undefined)
    throw new UserError(
      'mismatched-files',
      `${folder}: the special token ${shownJson(token)} has no row in the embedding: config.json has a vocab_size of ${rows}, its tokenizer has ${vocabulary.length} tokens`,
      { hint: 'in transformers, call model.resize_token_embeddings(len(tokenizer)) and save both again' },
    );
}
