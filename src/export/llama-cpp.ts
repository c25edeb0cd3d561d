/** A model as a GGUF file for llama.cpp. */
import type { ParameterReader } from '../checkpoint/parameter-tensors.ts';
import type { ModelFolder } from '../checkpoint/model-folder.ts';
import { UserError } from '../errors.ts';
import type { GgufFormat } from '../model/architecture.ts';
import { architectureOf } from '../model/architectures/registry.ts';
import type { ModelConfig } from '../model/config.ts';
import type { Parameter } from '../model/parameter.ts';
import { parameterTable } from '../model/parameters.ts';
import { transpose } from '../model/transposition.ts';
import { bannedIds } from '../tokenizer/tokenizer.ts';
import type { GgufTensor, GgufValue } from './gguf.ts';
import { llamaVocabulary } from './llama-vocabulary.ts';
import { suppressRows } from './output-head.ts';
import { refuseOverflow } from './overflow.ts';
import { BLOCK, isQuantized, type GgufDtype } from './quantization.ts';

/** Values of "general.file_type". */
const fileTypes: { readonly [D in GgufDtype]: number } = { f32: 0, f16: 1, q4_0: 2, q8_0: 7, bf16: 32 };
/** Version of the quantized formats. */
const QUANTIZATION_VERSION = 2;

export interface GgufModel {
  readonly metadata: Readonly<Record<string, GgufValue>>;
  readonly tensors: readonly GgufTensor[];
  /** Differences in llama.cpp's behavior, one per line. */
  readonly warnings: readonly string[];
}

/**
 * @param name shown by programs that load the file
 * @param dtype of all matrices except the position embedding (f32) and those whose rows are not whole blocks (f16). Vectors
 *   are f32. With q4_0, token embedding and output head are q8_0.
 * @param weights read while the file is written; may be opened later
 * @throws UserError naming what llama.cpp cannot represent
 */
export function ggufModel(
  { config, tokenizer }: Pick<ModelFolder, 'config' | 'tokenizer'>,
  { name, dtype, weights }: { name: string; dtype: GgufDtype; weights: Pick<ParameterReader, 'read'> },
): GgufModel {
  const format = formatOf(config);
  const { metadata: vocabulary, warnings } = llamaVocabulary(tokenizer);
  const table = parameterTable(config);
  const unaligned = table.filter((parameter) => isUnaligned(parameter, dtype));
  return {
    metadata: {
      'general.architecture': format.architecture,
      'general.type': 'model',
      'general.name': name,
      'general.file_type': { uint32: fileTypes[dtype] },
      'general.quantization_version': { uint32: QUANTIZATION_VERSION },
      ...prefixed(format.architecture, format.integers(config), (value) => ({ uint32: value })),
      ...prefixed(format.architecture, format.floats(config), (value) => ({ float32: value })),
      ...prefixed(format.architecture, format.strings?.(config) ?? {}, (value) => value),
      ...vocabulary,
    },
    tensors: [
      ...tensorsOf(table, {
        config,
        format,
        dtype,
        weights,
        banned: bannedIds(tokenizer),
        unkId: tokenizer.unkId,
      }),
      ...Object.entries(format.vectors?.(config) ?? {}).map(([vector, values]) => ({
        name: vector,
        shape: [values.length],
        dtype: 'f32' as const,
        read: () => values,
      })),
    ],
    warnings: [
      ...warnings,
      ...(unaligned.length === 0
        ? []
        : [
            `${unaligned.length} matrices have rows whose length is not a multiple of ${BLOCK}, as ${dtype} requires; they are stored as f16`,
          ]),
    ],
  };
}

function formatOf(config: ModelConfig): GgufFormat<ModelConfig> {
  const { gguf } = architectureOf(config);
  if (gguf === undefined)
    throw new UserError('unsupported-format', `llama.cpp does not know the architecture "${config.arch}"`, {
      hint: 'such a model runs in gpt only',
    });
  gguf.check(config);
  return gguf;
}

const prefixed = <T>(
  prefix: string,
  values: Readonly<Record<string, T>>,
  typed: (value: T) => GgufValue,
): Record<string, GgufValue> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [`${prefix}.${key}`, typed(value)]));

interface Source {
  readonly config: ModelConfig;
  readonly format: GgufFormat<ModelConfig>;
  readonly dtype: GgufDtype;
  readonly weights: Pick<ParameterReader, 'read'>;
  /** Tokens that are never generated. */
  readonly banned: ReadonlySet<number>;
  readonly unkId: number | undefined;
}

/**
 * A tied head is stored separately only if its row for `<unk>` differs from the token embedding's. Padding rows are never
 * looked up, so the embedding can hold the head's.
 */
function tensorsOf(table: readonly Parameter[], source: Source): GgufTensor[] {
  const { banned, unkId, config } = source;
  const tensors = table.map((parameter) => tensorOf(parameter, source));
  if (banned.size === 0) return tensors;
  const embedding = table.findIndex(({ role }) => role === 'token embedding');
  const own = table.findIndex(({ role }) => role === 'output head');
  const at = own < 0 ? embedding : own;
  const { read, ...head } = tensors[at];
  const suppressed = (): Float32Array => {
    const rows = read();
    suppressRows(rows, config.vocabSize, banned);
    return rows;
  };
  if (own < 0 && unkId === undefined) return tensors.with(at, { ...head, read: suppressed });
  return [...tensors.filter((_, i) => i !== own), { ...head, name: HEAD, read: suppressed }];
}

/** GGUF name of the output head in all architectures. */
const HEAD = 'output.weight';

function tensorOf(parameter: Parameter, { config, format, dtype, weights }: Source): GgufTensor {
  const shape = shapeOf(parameter);
  const own = dtypeOf(parameter, dtype);
  const order = format.rowOrder?.(config, parameter);
  return {
    name: format.tensorName(parameter),
    shape,
    dtype: own,
    read() {
      const stored = weights.read(parameter.name);
      refuseOverflow(parameter.name, stored, own);
      const values = parameter.role === 'linear weight' ? transposed(stored, parameter.shape) : stored;
      return order === undefined ? values : reordered(values, order);
    },
  };
}

/** Shape in llama.cpp's layout: [out,in] for all linear layers. */
const shapeOf = ({ role, shape }: Parameter): readonly number[] =>
  role === 'linear weight' ? shape.toReversed() : shape;

/** The dtypes chosen by llama.cpp's own converter, except that q4_0 gets a more precise embedding. */
function dtypeOf(parameter: Parameter, dtype: GgufDtype): GgufDtype {
  const { role } = parameter;
  if (role === 'vector' || role === 'position embedding') return 'f32';
  if (isUnaligned(parameter, dtype)) return 'f16';
  return dtype === 'q4_0' && (role === 'token embedding' || role === 'output head') ? 'q8_0' : dtype;
}

const isUnaligned = (parameter: Parameter, dtype: GgufDtype): boolean =>
  isQuantized(dtype) &&
  parameter.role !== 'vector' &&
  parameter.role !== 'position embedding' &&
  shapeOf(parameter).at(-1)! % BLOCK !== 0;

function transposed(values: Float32Array, [rows, columns]: readonly number[]): Float32Array {
  const result = new Float32Array(values.length);
  transpose(values, rows, columns, result);
  return result;
}

function reordered(values: Float32Array, order: Uint32Array): Float32Array {
  const width = values.length / order.length;
  const result = new Float32Array(values.length);
  order.forEach((from, row) => result.set(values.subarray(from * width, (from + 1) * width), row * width));
  return result;
}
