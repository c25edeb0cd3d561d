import type { Value } from '../autodiff/graph.ts';
import type { Randomness } from '../autodiff/ops/dropout.ts';
import type { Tape } from '../autodiff/tape.ts';
import type { Device } from '../engine/device.ts';
import { align, elementsOf, type Layout, type Region } from '../engine/memory.ts';
import { NORM_BLOCK, type Storage } from '../engine/signatures.ts';
import type { ModelConfig } from './config.ts';
import type { ParameterLookup } from './architecture.ts';
import { adaptLinearLayers } from './lora-linear.ts';
import { elements, parameterTable } from './parameters.ts';
import type { Parameter } from './parameter.ts';
import { deviceTensor, halfTensor, q8Tensor, type DeviceTensor } from './tensor.ts';

/**
 * Layout of all parameters in one contiguous block: those with weight decay first, then the other trained ones, then the
 * rest. The optimizer, the gradient norm and weight decay are thus linear passes. Gradients and moments use the same
 * layout. Tensors are aligned to cache lines, or more coarsely (`PaddedLength`); the gaps stay 0.
 */
export interface BlockLayout {
  readonly parameters: readonly {
    readonly parameter: Parameter;
    /** First element of memory within the block. */
    readonly start: number;
    /** Numbers, of type `storage`. */
    readonly length: number;
    readonly storage: Storage;
  }[];
  /** Lengths, in elements of memory, of the whole block and of two prefixes: the trained and the decayed parameters. */
  readonly total: number;
  readonly trained: number;
  readonly decayed: number;
}

/** How a parameter is stored in memory: float32 if it is trained. */
export type StorageOf = (parameter: Parameter) => Storage;

const inFloat32: StorageOf = () => 'f32';

function blockLayout(config: ModelConfig, storageOf: StorageOf, paddedLength: PaddedLength): BlockLayout {
  const table = parameterTable(config);
  const groups = [
    table.filter((p) => p.isDecayed),
    table.filter((p) => p.isTrained && !p.isDecayed),
    table.filter((p) => !p.isTrained),
  ];
  let end = 0;
  const ends: number[] = [];
  const parameters: { parameter: Parameter; start: number; length: number; storage: Storage }[] = [];
  for (const group of groups) {
    for (const parameter of group) {
      const length = elements(parameter.shape);
      const storage = storageOf(parameter);
      parameters.push({ parameter, start: end, length, storage });
      end += paddedLength(parameter, elementsOf(length, storage));
    }
    ends.push(end);
  }
  return { parameters, decayed: ends[0], trained: ends[1], total: end };
}

/** Elements of a block that a parameter takes, with the padding after it. `length` are its own elements. */
type PaddedLength = (parameter: Parameter, length: number) => number;

const toCacheLines: PaddedLength = (_parameter, length) => align(length);

/** Padding of trained parameters: no block of the gradient norm spans two matrices, so that ranks can divide them. */
export const toNormBlocks: PaddedLength = ({ isDecayed }, length) =>
  isDecayed ? Math.ceil(length / NORM_BLOCK) * NORM_BLOCK : align(length);

type BlockEntry = BlockLayout['parameters'][number];

/** The layout of a block that holds some of the trained parameters only, in the same order. */
export function partialLayout(
  block: BlockLayout,
  keeps: (parameter: Parameter) => boolean,
): { readonly parameters: readonly BlockEntry[]; readonly length: number } {
  let length = 0;
  const parameters: BlockEntry[] = [];
  for (const entry of block.parameters) {
    if (!entry.parameter.isTrained || !keeps(entry.parameter)) continue;
    parameters.push({ ...entry, start: length });
    length += toNormBlocks(entry.parameter, entry.length);
  }
  return { parameters, length };
}

/** Parameters at an address in engine memory. */
export interface PlacedModel {
  readonly config: ModelConfig;
  readonly block: BlockLayout;
  /** All parameters; training changes the first `block.trained` elements. */
  readonly region: Region;
  /** Linear weights are stored as [out,in] instead of [in,out]; see transposition.ts. In q8 they have to be. */
  readonly transposed: boolean;
}

/** @param storageOf for a model that is only read, or whose frozen parameters are */
export function placeModel(
  config: ModelConfig,
  layout: Layout,
  storageOf: StorageOf = inFloat32,
  paddedLength: PaddedLength = toCacheLines,
): PlacedModel {
  const block = blockLayout(config, storageOf, paddedLength);
  return { config, block, region: layout.allocate(block.total), transposed: false };
}

/** The part of a block (parameters, gradients or moments) that belongs to one tensor. */
export const within = (
  block: Region,
  entry: { readonly start: number; readonly length: number; readonly storage?: Storage },
): Region => ({
  offset: block.offset + entry.start,
  length: entry.length,
  dtype: entry.storage ?? 'f32',
});

/**
 * The parameters as graph values. The tape adds a model's adapters to its linear layers from here on.
 *
 * @param randomness of the adapters' dropout; absent outside training
 */
export function parameterValues(
  t: Tape,
  model: PlacedModel,
  randomness?: Randomness,
): { values: Map<string, Value>; lookup: ParameterLookup } {
  const values = new Map<string, Value>();
  for (const entry of model.block.parameters) {
    const { name, shape, role, isTrained } = entry.parameter;
    const stored = model.transposed && role === 'linear weight' ? shape.toReversed() : shape;
    values.set(name, t.external(name, stored, within(model.region, entry), isTrained));
  }
  const { lora } = model.config;
  if (lora !== undefined) adaptLinearLayers(t, lora, values, randomness);
  const lookup: ParameterLookup = (name) => {
    const value = values.get(name);
    if (value === undefined) throw new Error(`no parameter is called '${name}'`);
    return value;
  };
  return { values, lookup };
}

/** The tensors of a block: parameters, gradients or moments. */
export const tensorsOf = (
  device: Device,
  block: Pick<BlockLayout, 'parameters'>,
  region: Region,
  { trainedOnly = false } = {},
): DeviceTensor[] =>
  block.parameters
    .filter(({ parameter }) => parameter.isTrained || !trainedOnly)
    .map((entry) => {
      const { parameter, storage } = entry;
      const { offset } = within(region, entry);
      if (storage === 'f32') return deviceTensor(device, parameter, offset);
      if (storage === 'q8') return q8Tensor(device, parameter, offset);
      return halfTensor(device, parameter, { offset, storage });
    });
