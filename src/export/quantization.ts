/**
 * The number formats of GGUF tensors. The block formats follow ggml-quants.c (`quantize_row_q8_0_ref`,
 * `quantize_row_q4_0_ref`) including its rounding: all arithmetic is float32, so the bytes are identical to llama.cpp's.
 *
 *     q8_0   scale float16, 32 × int8; x ≈ scale · q, scale = max|x| / 127                                     34 bytes
 *     q4_0   scale float16, 16 × two 4-bit q, x[i] in the low and x[i+16] in the high half; x ≈ scale · (q − 8)   18 bytes
 */
import { float16Bits, toBfloat16, toFloat16 } from '../half-precision.ts';

export const ggufDtypes = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0'] as const;
export type GgufDtype = (typeof ggufDtypes)[number];

/** Numbers per block of the quantized formats. A block never spans two rows. */
export const BLOCK = 32;

/** Bytes per block of 32 numbers. */
const blockBytes: { readonly [D in GgufDtype]: number } = { f32: 128, f16: 64, bf16: 64, q8_0: 34, q4_0: 18 };

/** A quantized format, whose rows must consist of whole blocks. */
export const isQuantized = (dtype: GgufDtype): boolean => dtype === 'q8_0' || dtype === 'q4_0';

/** In bytes. */
export const sizeOf = (dtype: GgufDtype, count: number): number => (count / BLOCK) * blockBytes[dtype];

/** Numbers per chunk: 1 MB of float32. */
const CHUNK = 2 ** 18;

/** The bytes of a tensor, in chunks. */
export function* encoded(dtype: GgufDtype, values: Float32Array): Generator<Uint8Array> {
  for (let at = 0; at < values.length; at += CHUNK) yield encode(dtype, values.subarray(at, at + CHUNK));
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** @param values for a quantized format, whole blocks */
export const encode = (dtype: GgufDtype, values: Float32Array): Uint8Array => encoders[dtype](values);

const encoders: { readonly [D in GgufDtype]: (values: Float32Array) => Uint8Array } = {
  f32: bytesOf,
  f16: (values) => bytesOf(toFloat16(values)),
  bf16: (values) => bytesOf(toBfloat16(values)),
  q8_0: (values) => inBlocks(values, blockBytes.q8_0, quantizeQ8),
  q4_0: (values) => inBlocks(values, blockBytes.q4_0, quantizeQ4),
};

/** Writes the integers of a block. @returns its scale */
type QuantizeBlock = (x: Float32Array, quantized: Uint8Array) => number;

function inBlocks(values: Float32Array, size: number, quantize: QuantizeBlock): Uint8Array {
  const blocks = values.length / BLOCK;
  const bytes = new Uint8Array(blocks * size);
  for (let block = 0; block < blocks; block++) {
    const x = values.subarray(block * BLOCK, (block + 1) * BLOCK);
    const at = block * size;
    const scale = float16Bits(quantize(x, bytes.subarray(at + 2, at + size)));
    bytes[at] = scale & 0xff;
    bytes[at + 1] = scale >> 8;
  }
  return bytes;
}

const { fround } = Math;

/** 1/scale in float32, 0 for a block of zeros. */
const inverse = (scale: number): number => (scale === 0 ? 0 : fround(1 / scale));

function quantizeQ8(x: Float32Array, quantized: Uint8Array): number {
  let largest = 0;
  for (const value of x) largest = Math.max(largest, Math.abs(value));
  const scale = fround(largest / 127);
  const factor = inverse(scale);
  for (let i = 0; i < BLOCK; i++) quantized[i] = roundAwayFromZero(fround(x[i] * factor));
  return scale;
}

/** C's roundf: ties go away from zero. */
const roundAwayFromZero = (x: number): number => Math.sign(x) * Math.floor(Math.abs(x) + 0.5);

/** The number of largest magnitude, with its sign, becomes −8. */
function quantizeQ4(x: Float32Array, quantized: Uint8Array): number {
  let extreme = 0;
  for (const value of x) if (Math.abs(value) > Math.abs(extreme)) extreme = value;
  const scale = fround(extreme / -8);
  const factor = inverse(scale);
  const level = (value: number): number => Math.min(15, Math.trunc(fround(fround(value * factor) + 8.5)));
  for (let i = 0; i < BLOCK / 2; i++) quantized[i] = level(x[i]) | (level(x[i + BLOCK / 2]) << 4);
  return scale;
}
