/**
 * A trained adapter on disk, in PEFT's layout:
 *
 *     adapter_config.json                                                  which layers of which model it adapts
 *     tokenizer.json  tokenizer_config.json  generation_config.json        copies of the base model's
 *     adapter_model.safetensors                                            the adapters alone
 *
 * The base model stays where it is; the two together are a model.
 */
import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { holds, UserError } from '../errors.ts';
import { optionName } from '../messages.ts';
import { shownJson } from '../json.ts';
import { architectureOf, checkConfig } from '../model/architectures/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { linearLayers, type LoraConfig } from '../model/lora.ts';
import { isAdapter } from '../model/parameter.ts';
import { elements, parameterTable } from '../model/parameters.ts';
import { clipped, type TensorTarget } from '../model/tensor.ts';
import { ADAPTER_CONFIG, readAdapterConfig, type AdapterDescription } from './adapter-config.ts';
import { baseFingerprint } from './base-fingerprint.ts';
import { hubHint } from './foreign-models.ts';
import {
  BASE_FINGERPRINT,
  checkFacts,
  FACT_OF_TOKENIZER,
  modelFacts,
  openWholeModel,
  readFittingTokenizer,
  toFileName,
  type ModelFolder,
} from './model-folder.ts';
import type { ParameterReader } from './parameter-tensors.ts';
import { ADAPTER_WEIGHTS } from './weights.ts';
import { openSafetensors, type TensorLoadOptions, type SafetensorsFile } from './safetensors.ts';
import { isWholeModel } from './checkpoint-folders.ts';

export interface AdapterOpening {
  /** The base model's folder, if it is not where adapter_config.json says. */
  readonly base?: string | undefined;
  /** Name of the file with the adapters. */
  readonly file?: string | undefined;
}

/** @throws UserError naming the file and field that is missing, unsupported, or belongs to another base model */
export function openAdapter(folder: string, { base, file = ADAPTER_WEIGHTS }: AdapterOpening): ModelFolder {
  const configFile = join(folder, ADAPTER_CONFIG);
  const described = readAdapterConfig(configFile);
  const path = join(folder, file);
  const model = openBase(folder, described, { given: base, hasFingerprint: hasFingerprint(path) });
  if (!existsSync(path)) throw missingWeights(folder, file);
  const weights = openSafetensors(path);
  try {
    const { metadata } = weights;
    const lora = loraOf(described, model, metadata);
    const config = checkAdapted(configFile, { ...model.config, lora });
    const hasTokenizer = existsSync(join(folder, 'tokenizer.json'));
    const tokenizer = hasTokenizer ? readFittingTokenizer(folder, config, model.folder) : model.tokenizer;
    matchAdapters(path, weights, config, model);
    if (FACT_OF_TOKENIZER in metadata) checkFacts(folder, metadata, modelFacts(config, tokenizer), file);
    if (base === undefined) checkBase(path, model, lora);
    return {
      folder,
      config,
      tokenizer,
      metadata,
      base: model,
      storageOf: (parameter) => (isAdapter(parameter) ? 'f32' : model.storageOf(parameter)),
      load: (into, options) => load(path, config, model, into, options),
      open: (options) => openReader(path, config, model, options),
    };
  } finally {
    weights.close();
  }
}

const hasFingerprint = (weights: string): boolean =>
  holds(() => {
    const file = openSafetensors(weights);
    file.close();
    return BASE_FINGERPRINT in file.metadata;
  });

/** The base model: in the given folder, or where adapter_config.json says. */
function openBase(
  folder: string,
  { basePath }: AdapterDescription,
  {
    given,
    hasFingerprint: isKnown,
  }: { readonly given: string | undefined; readonly hasFingerprint: boolean },
): ModelFolder {
  const found = given ?? (basePath === undefined ? undefined : findBase(folder, basePath, isKnown));
  const file = join(folder, ADAPTER_CONFIG);
  if (found === undefined)
    throw new UserError(
      'file-not-found',
      `${file}: "base_model_name_or_path" ${basePath === undefined ? 'names no model' : `is ${shownJson(basePath)}, and that folder does not exist`}`,
      {
        hint: `${(basePath && hubHint(basePath)) ?? 'get the base model first'}; then pass it with ${optionName('base')}`,
      },
    );
  if (existsSync(join(found, ADAPTER_CONFIG)) && !isWholeModel(found))
    throw new UserError('unsupported-format', `${found}, the base of ${folder}, is itself an adapter`, {
      hint: `merge that one first, and pass the result with ${optionName('base')}`,
    });
  return openWholeModel(found);
}

/**
 * Looks for the base model. PEFT takes its path as relative to the working directory, or as a name on the Hub. Since an
 * adapter may be used from another directory or have moved with its base, the path is also resolved relative to the
 * adapter and, if a fingerprint can confirm that it is the right model, to any folder above; the base may also be next to
 * the adapter.
 *
 * @returns the first place with a model, or else the first that exists
 */
export function findBase(adapter: string, path: string, hasKnownFingerprint: boolean): string | undefined {
  const above: string[] = [];
  for (let at = resolve(adapter), next = dirname(at); next !== at; at = next, next = dirname(at))
    above.push(next);
  const places = [
    resolve(adapter, path),
    path,
    ...(hasKnownFingerprint ? above.map((folder) => resolve(folder, path)) : []),
    ...(hasKnownFingerprint ? [resolve(adapter, '..', basename(path))] : []),
  ].filter((place) => existsSync(place) && resolve(place) !== resolve(adapter));
  return places.find((place) => isWholeModel(place)) ?? places[0];
}

const loraOf = (
  { targets, basePath, ...described }: AdapterDescription,
  base: ModelFolder,
  metadata: Readonly<Record<string, string>>,
): LoraConfig => ({
  ...described,
  targets:
    targets === 'all-linear' ? linearLayers(architectureOf(base.config).parameters(base.config)) : targets,
  base: { path: basePath ?? base.folder, fingerprint: metadata[BASE_FINGERPRINT] },
});

/** @throws UserError in terms of the fields of adapter_config.json */
function checkAdapted(file: string, config: ModelConfig): ModelConfig {
  const { lora } = config;
  try {
    return checkConfig(config);
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(
      'mismatched-files',
      `${file}: "target_modules" names layers that the base model does not have: ${shownJson(lora?.targets)}`,
      { hint: `the adapter belongs to another base model; pass the right one with ${optionName('base')}` },
    );
  }
}

/** The parameters stored in the adapter's file, by tensor name. */
const storedNames = (config: ModelConfig): Map<string, ReturnType<typeof parameterTable>[number]> =>
  new Map(
    parameterTable(config)
      .filter(isAdapter)
      .map((parameter) => [toFileName(config, parameter.name), parameter]),
  );

/** @throws UserError unless the file has the adapters of the config with their shapes, and nothing else */
function matchAdapters(path: string, { tensors }: SafetensorsFile, config: ModelConfig, base: ModelFolder) {
  const hint = `the adapter belongs to another base model than ${base.folder}, or its files to different adapters`;
  const refuse = (what: string): never => {
    throw new UserError('mismatched-files', `${path}${what}`, { hint });
  };
  const stored = storedNames(config);
  for (const [name, { shape }] of stored) {
    const found = tensors.get(name)?.shape;
    if (found === undefined) refuse(` lacks the tensor ${shownJson(name)} that ${ADAPTER_CONFIG} asks for`);
    else if (found.join() !== shape.join())
      refuse(
        `: ${shownJson(name)} has the shape ${shownJson(found)}; the base model needs ${shownJson(shape)}`,
      );
  }
  for (const name of tensors.keys())
    if (!stored.has(name))
      refuse(
        ` has the tensor ${shownJson(name)}, which ${ADAPTER_CONFIG} and the base model do not account for`,
      );
}

/** @throws UserError if the base model's weights are not those the adapter was trained on */
export function checkBase(path: string, base: ModelFolder, { base: { fingerprint } }: LoraConfig): void {
  if (fingerprint === undefined || fingerprint === baseFingerprint(base.folder)) return;
  throw new UserError(
    'mismatched-files',
    `${path} was trained on other weights than those in ${base.folder}`,
    {
      hint: `the base model has changed since: pass the one it was trained on with ${optionName('base')}`,
    },
  );
}

function missingWeights(folder: string, file: string): UserError {
  const bin = join(folder, 'adapter_model.bin');
  if (existsSync(bin))
    return new UserError(
      'unsupported-format',
      `${bin} holds PyTorch weights; only safetensors is supported`,
      {
        hint: 'save it again with PEFT: model.save_pretrained(…)',
      },
    );
  return new UserError('no-checkpoint', `${folder} has no ${file}: its training has not saved one yet`, {
    hint: 'the first evaluation of a run saves its model',
  });
}

/** Loads base model and adapters. The base is not read if all targets are adapters. */
function load(
  path: string,
  config: ModelConfig,
  base: ModelFolder,
  into: readonly TensorTarget[],
  options: TensorLoadOptions = {},
): void {
  const adapters = new Map([...storedNames(config)].map(([file, { name }]) => [name, file]));
  const frozen = into.filter(({ name }) => !adapters.has(name));
  if (frozen.length > 0) base.load(fitted(base.config, frozen), options);
  const weights = openSafetensors(path);
  try {
    const targets = into.flatMap((target) => {
      const file = adapters.get(target.name);
      return file === undefined ? [] : [[file, target] as const];
    });
    weights.load(new Map(targets), frozen.length > 0 ? { ...options, loaded: () => {} } : options);
  } finally {
    weights.close();
  }
}

/** Targets of the base model's shapes. A run with a shorter context has fewer rows of the position table. */
function fitted(config: ModelConfig, into: readonly TensorTarget[]): TensorTarget[] {
  const shapes = new Map(parameterTable(config).map(({ name, shape }) => [name, shape]));
  return into.map((target) => {
    const shape = shapes.get(target.name)!;
    return elements(shape) === elements(target.shape) ? target : clipped(target, shape);
  });
}

function openReader(
  path: string,
  config: ModelConfig,
  base: ModelFolder,
  options?: TensorLoadOptions,
): ParameterReader {
  const adapters = new Map<string, Float32Array>();
  const targets = parameterTable(config)
    .filter(isAdapter)
    .map(({ name, shape }): TensorTarget => {
      const data = new Float32Array(elements(shape));
      adapters.set(name, data);
      return { name, shape, data };
    });
  load(path, config, base, targets);
  const reader = base.open(options);
  return { read: (name) => adapters.get(name) ?? reader.read(name), close: () => reader.close() };
}
