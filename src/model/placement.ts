import type { Recorder, Value } from '../autodiff/graph.ts';
import { align, type Layout, type Region } from '../engine/memory.ts';
import type { ModelConfig } from './config.ts';
import type { ParameterLookup } from './architecture.ts';
import { elements, parameterTable } from './parameters.ts';
import type { Parameter } from './parameter.ts';

/**
 * Layout of all parameters in one contiguous block: those with weight decay first, then the other trained ones, then the
 * rest. The optimizer, the gradient norm and weight decay are thus linear passes. Gradients and moments use the same
 * layout. Tensors are aligned to cache lines; the gaps stay 0.
 */
export interface BlockLayout {
  readonly parameters: readonly {
    readonly parameter: Parameter;
    readonly start: number;
    readonly length: number;
  }[];
  /** Lengths, in elements, of the whole block and of two prefixes: the trained and the decayed parameters. */
  readonly total: number;
  readonly trained: number;
  readonly decayed: number;
}

export function blockLayout(config: ModelConfig): BlockLayout {
  const table = parameterTable(config);
  const groups = [
    table.filter((p) => p.isDecayed),
    table.filter((p) => p.isTrained && !p.isDecayed),
    table.filter((p) => !p.isTrained),
  ];
  let end = 0;
  const ends: number[] = [];
  const parameters: { parameter: Parameter; start: number; length: number }[] = [];
  for (const group of groups) {
    for (const parameter of group) {
      const length = elements(parameter.shape);
      parameters.push({ parameter, start: end, length });
      end += align(length);
    }
    ends.push(end);
  }
  return { parameters, decayed: ends[0], trained: ends[1], total: end };
}

/** Parameters at an address in engine memory. */
export interface PlacedModel {
  readonly config: ModelConfig;
  readonly block: BlockLayout;
  /** All parameters; training changes the first `block.trained` elements. */
  readonly region: Region;
  /** Linear weights are stored as [out,in] instead of [in,out]. */
  readonly transposed: boolean;
}

export function placeModel(config: ModelConfig, layout: Layout): PlacedModel {
  const block = blockLayout(config);
  return { config, block, region: layout.allocate(block.total), transposed: false };
}

/**
 * Transposes the linear layers' weights in place, so that a thread computing some outputs of one token reads a contiguous
 * range of the matrix.
 */
export function transposeWeights(model: PlacedModel, floats: Float32Array): PlacedModel {
  for (const { parameter, start, length } of model.block.parameters) {
    if (parameter.role !== 'linear weight') continue;
    const data = floats.subarray(model.region.offset + start, model.region.offset + start + length);
    transpose(data.slice(), parameter.shape[0], parameter.shape[1], data);
  }
  return { ...model, transposed: !model.transposed };
}

/** Transposes x [rows,columns] into y [columns,rows] in square blocks that stay in L1. */
function transpose(x: Float32Array, rows: number, columns: number, y: Float32Array): void {
  const side = 16;
  for (let top = 0; top < rows; top += side)
    for (let left = 0; left < columns; left += side)
      for (let c = left; c < Math.min(left + side, columns); c++)
        for (let r = top; r < Math.min(top + side, rows); r++) y[c * rows + r] = x[r * columns + c];
}

/** The part of a block (parameters, gradients or moments) that belongs to one tensor. */
export const within = (
  block: Region,
  entry: { readonly start: number; readonly length: number },
): Region => ({
  offset: block.offset + entry.start,
  length: entry.length,
  dtype: 'f32',
});

/** The parameters as graph values. */
export function parameterValues(
  record: Recorder,
  model: PlacedModel,
): { values: Map<string, Value>; lookup: ParameterLookup } {
  const values = new Map<string, Value>();
  for (const entry of model.block.parameters) {
    const { name, shape, role, isTrained } = entry.parameter;
    const stored = model.transposed && role === 'linear weight' ? shape.toReversed() : shape;
    values.set(name, record.external(name, stored, within(model.region, entry), isTrained));
  }
  const lookup: ParameterLookup = (name) => {
    const value = values.get(name);
    if (value === undefined) throw new Error(`no parameter is called '${name}'`);
    return value;
  };
  return { values, lookup };
}

/** A tensor to be saved; `data` is a view of engine memory. */
export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** The tensors of a block (parameters or moments) as views of engine memory. */
export function tensorsOf(
  block: BlockLayout,
  region: Region,
  floats: Float32Array,
  { trainedOnly = false } = {},
): NamedTensor[] {
  return block.parameters
    .filter(({ parameter }) => parameter.isTrained || !trainedOnly)
    .map((entry) => {
      const { offset, length } = within(region, entry);
      return {
        name: entry.parameter.name,
        shape: entry.parameter.shape,
        data: floats.subarray(offset, offset + length),
      };
    });
}
