/**
 * GGUF, llama.cpp's file format, version 3 (ggml/docs/gguf.md). All numbers are little-endian; a string is its length in
 * bytes as uint64, then UTF-8.
 *
 *     "GGUF"  version uint32  tensors uint64  entries uint64
 *     entries   key string, type uint32, value
 *     tensors   name string, dimensions uint32, sizes uint64 (the contiguous one first), type uint32, offset uint64
 *     data      from a multiple of 32 on, each tensor too; offsets are relative to its start
 */
import { elements } from '../model/parameters.ts';
import { encoded, sizeOf, type GgufDtype } from './quantization.ts';

/** A metadata value. Numbers carry their type, which llama.cpp checks. */
export type GgufValue =
  | string
  | boolean
  | { readonly uint32: number }
  | { readonly float32: number }
  | { readonly int32s: readonly number[] }
  | { readonly float32s: readonly number[] }
  | readonly string[];

export interface GgufTensor {
  readonly name: string;
  /** Row-major: the last size is the contiguous one. */
  readonly shape: readonly number[];
  readonly dtype: GgufDtype;
  /** The numbers of the tensor, requested when it is written. */
  readonly read: () => Float32Array;
}

const VERSION = 3;
const ALIGNMENT = 32;

/** Numbers of `enum gguf_type`. */
const types = { uint32: 4, int32: 5, float32: 6, boolean: 7, string: 8, array: 9 } as const;
/** Numbers of `enum ggml_type`. */
const dtypes: { readonly [D in GgufDtype]: number } = { f32: 0, f16: 1, q4_0: 2, q8_0: 8, bf16: 30 };

const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

/** The content of a file, in chunks. One tensor at a time is in memory. */
export function* ggufPieces(
  metadata: Readonly<Record<string, GgufValue>>,
  tensors: readonly GgufTensor[],
): Generator<Uint8Array> {
  const header = headerBytes(metadata, tensors);
  yield header;
  yield padding(header.length);
  for (const { shape, dtype, read } of tensors) {
    yield* encoded(dtype, read());
    yield padding(sizeOf(dtype, elements(shape)));
  }
}

/** Size of the file without its header, in bytes. */
export const ggufDataSize = (tensors: readonly GgufTensor[]): number =>
  tensors.reduce((sum, { shape, dtype }) => sum + aligned(sizeOf(dtype, elements(shape))), 0);

const padding = (bytes: number): Uint8Array => new Uint8Array(aligned(bytes) - bytes);

function headerBytes(
  metadata: Readonly<Record<string, GgufValue>>,
  tensors: readonly GgufTensor[],
): Uint8Array {
  const entries = Object.entries(metadata);
  const parts = [Buffer.from('GGUF'), uint32(VERSION), uint64(tensors.length), uint64(entries.length)];
  for (const [key, value] of entries) parts.push(text(key), Buffer.concat(valueBytes(value)));
  let offset = 0;
  for (const { name, shape, dtype } of tensors) {
    const sizes = shape.toReversed().map(uint64);
    parts.push(text(name), uint32(sizes.length), ...sizes, uint32(dtypes[dtype]), uint64(offset));
    offset += aligned(sizeOf(dtype, elements(shape)));
  }
  return Buffer.concat(parts);
}

/** Type and value. */
function valueBytes(value: GgufValue): Buffer[] {
  if (typeof value === 'string') return [uint32(types.string), text(value)];
  if (typeof value === 'boolean') return [uint32(types.boolean), Buffer.of(value ? 1 : 0)];
  if ('uint32' in value) return [uint32(types.uint32), uint32(value.uint32)];
  if ('float32' in value) return [uint32(types.float32), float32(value.float32)];
  if ('int32s' in value) {
    const numbers = Buffer.from(Int32Array.from(value.int32s).buffer);
    return [...arrayOf(types.int32, value.int32s.length), numbers];
  }
  if ('float32s' in value) {
    const numbers = Buffer.from(Float32Array.from(value.float32s).buffer);
    return [...arrayOf(types.float32, value.float32s.length), numbers];
  }
  return [...arrayOf(types.string, value.length), ...value.map(text)];
}

const arrayOf = (type: number, length: number): Buffer[] => [
  uint32(types.array),
  uint32(type),
  uint64(length),
];

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}
