/** Maps tensors of a weights file to parameters of a model, with the conversion each needs. */
import { UserError, type ErrorCode } from '../errors.ts';
import { shownJson } from '../json.ts';
import type { DescribedModel } from '../model/architecture.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import { elements, parameterOf, parameterTable } from '../model/parameters.ts';
import { isWeightMatrix, type Init, type ParameterRole } from '../model/parameter.ts';
import { gathered, Scratch, writeTensor, type TensorTarget } from '../model/tensor.ts';
import type { StorageOf } from '../model/placement.ts';
import { firstNonFinite, halfStorageOf } from './safetensors-dtypes.ts';
import { SafetensorsError } from './safetensors-header.ts';
import type { TensorLoadOptions } from './safetensors.ts';
import type { Weights } from './weights.ts';

/**
 * Maps parameters to names in the file, after checking that it has every parameter, in its shape, and nothing else. One
 * kind of bias may be missing from all layers; it is then zero.
 *
 * @throws UserError naming the tensor
 */
export function matchTensors({ tensors, path }: Weights, config: ModelConfig): Map<string, string> {
  const { fromTensorName, isBuffer, head } = architectureOf(config).huggingFace;
  const names = new Map<string, string>();
  const refuse = (
    what: string,
    hint = 'the weights and config.json belong to different models',
    code: ErrorCode = 'mismatched-files',
  ): never => {
    throw new UserError(code, `${path}${what}`, { hint });
  };
  for (const stored of tensors.keys()) {
    refuseWrapped(path, stored);
    const name = fromTensorName(stored);
    if (isBuffer(stored)) continue;
    if (names.has(name))
      refuse(
        ` has the tensor ${shownJson(name)} twice`,
        'the file is damaged; use another copy',
        'damaged-file',
      );
    names.set(name, stored);
  }
  // Checked before the table is allocated, since an untrusted config.json may claim any number of layers.
  if (config.nLayer > tensors.size)
    refuse(` has ${tensors.size} tensors, config.json asks for ${config.nLayer} layers`);
  const table = parameterTable(config);
  const kinds = new Set(table.filter(({ name }) => names.has(name)).map(({ kind }) => kind));
  for (const { name, shape, kind, init, role } of table) {
    const stored = tensors.get(names.get(name) ?? '')?.shape;
    if (stored === undefined && startsAtZero(init) && !kinds.has(kind)) continue;
    if (stored === undefined)
      return refuse(
        ` lacks the tensor "${name}" that config.json asks for`,
        name === head
          ? 'if the head is the token embedding, set "tie_word_embeddings" to true there'
          : undefined,
      );
    if (stored.join() !== shape.join())
      refuse(
        `: "${name}" has the shape ${shownJson(stored)}, config.json asks for ${shownJson(shape)}`,
        stored.join() === shape.toReversed().join() ? transposedHint(role) : undefined,
      );
  }
  const expected = new Set(table.map(({ name }) => name));
  for (const name of names.keys())
    if (!expected.has(name) && name !== head)
      refuse(` has the tensor ${shownJson(name)}, which this model does not`);
  return names;
}

/** Hint for a weight that is stored in the other layout. */
const transposedHint = (role: ParameterRole): string | undefined =>
  role === 'linear weight'
    ? 'this model stores weights as [in, out]; those of torch.nn.Linear must be transposed'
    : role === 'transposed linear weight'
      ? 'this model stores weights as [out, in], as torch.nn.Linear does; those of Conv1D must be transposed'
      : undefined;

const startsAtZero = (init: Init): boolean => init.kind === 'constant' && init.value === 0;

/** Wrappers that prefix the names of all tensors, and how to save the model inside. */
const WRAPPERS: readonly { readonly prefix: string; readonly by: string; readonly hint: string }[] = [
  {
    prefix: '_orig_mod.',
    by: 'torch.compile',
    hint: 'save the model inside, model._orig_mod, with its save_pretrained',
  },
  {
    prefix: 'module.',
    by: 'DataParallel and DistributedDataParallel',
    hint: 'save the model inside, model.module, with its save_pretrained',
  },
  {
    prefix: 'base_model.model.',
    by: 'PEFT',
    hint: 'merge the adapter into the model first: model.merge_and_unload().save_pretrained(...)',
  },
];

function refuseWrapped(path: string, tensor: string): void {
  const wrapper = WRAPPERS.find(({ prefix }) => tensor.startsWith(prefix));
  if (wrapper === undefined) return;
  const { prefix, by, hint } = wrapper;
  throw new UserError(
    'unsupported-format',
    `${path}: the tensors' names start with "${prefix}", which ${by} adds`,
    { hint },
  );
}

/**
 * How the parameters of a model whose weights are only read (inference, the frozen base of adapters) are stored in memory:
 * matrices in the file's dtype; small parameters and those whose numbers change on loading in float32.
 */
export function storageIn(weights: Weights, { config, conversionOf }: DescribedModel): StorageOf {
  const names = matchTensors(weights, config);
  return (parameter) => {
    const stored = weights.tensors.get(names.get(parameter.name) ?? '');
    if (!isWeightMatrix(parameter) || stored === undefined || conversionOf?.(parameter) !== undefined)
      return 'f32';
    return halfStorageOf(stored.dtype) ?? 'f32';
  };
}

/** Loads all parameters, one after the other. @param into one target per parameter, of its shape */
export function loadParameters(
  weights: Weights,
  { config, conversionOf }: DescribedModel,
  into: readonly TensorTarget[],
  options?: TensorLoadOptions,
): void {
  const names = matchTensors(weights, config);
  const parameters = new Map(parameterTable(config).map((parameter) => [parameter.name, parameter]));
  const scratch = new Scratch();
  const targets = new Map<string, TensorTarget>();
  for (const target of into) {
    const stored = names.get(target.name);
    if (stored === undefined) {
      writeTensor(target, new Float32Array(elements(target.shape)));
      continue;
    }
    const convert = conversionOf?.(parameters.get(target.name)!);
    targets.set(stored, convert === undefined ? target : converted(target, scratch, convert));
  }
  weights.load(targets, options);
  if (config.tieWordEmbeddings) checkTiedHead(weights, config, names);
}

/** Reads single parameters of an open weights file. */
export interface ParameterReader {
  /** A parameter by its name in the parameter table, in the conventions of this program. @throws if a value is not finite */
  read(name: string): Float32Array;
  close(): void;
}

/** @param weights closed by the reader */
export function parameterReader(weights: Weights, { config, conversionOf }: DescribedModel): ParameterReader {
  const names = matchTensors(weights, config);
  if (config.tieWordEmbeddings) checkTiedHead(weights, config, names);
  const parameters = new Map(parameterTable(config).map((parameter) => [parameter.name, parameter]));
  return {
    read(name) {
      const parameter = parameters.get(name)!;
      const stored = names.get(name);
      if (stored === undefined) return new Float32Array(elements(parameter.shape));
      const values = weights.read(stored);
      refuseNonFinite(weights.path, stored, values);
      conversionOf?.(parameter)?.(values);
      return values;
    },
    close: () => weights.close(),
  };
}

function refuseNonFinite(path: string, tensor: string, values: Float32Array): void {
  const index = firstNonFinite(values);
  if (index < 0) return;
  throw new SafetensorsError(
    path,
    'not finite',
    `${shownJson(tensor)} holds ${values[index]} (element ${index} of ${values.length})`,
  );
}

/** A target that receives a tensor converted by `convert`. */
const converted = (
  target: TensorTarget,
  scratch: Scratch,
  convert: (data: Float32Array) => void,
): TensorTarget =>
  gathered(target, scratch, (whole) => {
    convert(whole);
    writeTensor(target, whole);
  });

/** A tied output head is the token embedding; if the file has a copy, the two must agree. */
function checkTiedHead(weights: Weights, config: ModelConfig, names: ReadonlyMap<string, string>): void {
  const name = names.get(architectureOf(config).huggingFace.head);
  if (name === undefined) return;
  const embedding = parameterOf(config, 'token embedding').name;
  const bits = (tensor: string): Uint32Array => new Uint32Array(weights.read(tensor).buffer);
  const [head, tied] = [bits(name), bits(names.get(embedding)!)];
  if (head.length !== tied.length || head.some((x, i) => x !== tied[i]))
    throw new UserError(
      'mismatched-files',
      `${weights.path}: "${name}" differs from the token embedding, to which config.json ties it`,
      { hint: 'if the model was trained with an untied head, set "tie_word_embeddings" to false there' },
    );
}
