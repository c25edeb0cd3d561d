/** Converts the dtypes of safetensors to and from float32, and searches for NaN and infinity. */
import type { HalfStorage } from '../engine/signatures.ts';
import { fromBfloat16, fromFloat16, toBfloat16, toFloat16 } from '../half-precision.ts';
import type { Dtype } from './safetensors-header.ts';

type Converter = (bytes: Uint8Array, values: Float32Array) => void;

/** Converts the bytes of one dtype to as many float32. Absent for dtypes that no weights are stored in; F32 needs none. */
export const converters: { readonly [D in Dtype]?: Converter } = {
  F64: (bytes, values) => values.set(new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8)),
  F16: (bytes, values) => fromFloat16(halvesOf(bytes), values),
  BF16: (bytes, values) => fromBfloat16(halvesOf(bytes), values),
};

/** The dtypes in which weights are written. */
export type WeightDtype = 'F32' | 'F16' | 'BF16';

/** The bytes of numbers in a dtype, rounded to the nearest value. */
export const encoders: { readonly [D in WeightDtype]: (values: Float32Array) => Uint8Array } = {
  F32: (values) => bytesOf(values),
  F16: (values) => bytesOf(toFloat16(values)),
  BF16: (values) => bytesOf(toBfloat16(values)),
};

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Bytes as 16-bit words. */
export const halvesOf = ({ buffer, byteOffset, length }: Uint8Array): Uint16Array =>
  new Uint16Array(buffer, byteOffset, length / 2);

/** How weights of a dtype can be kept in memory without conversion. */
export const halfStorageOf = (dtype: Dtype): HalfStorage | undefined =>
  dtype === 'BF16' ? 'bf16' : dtype === 'F16' ? 'f16' : undefined;

/** Exponents of all ones, in the two numbers of a 32-bit word: NaN and infinity. */
const HALF_EXPONENTS: { readonly [S in HalfStorage]: number } = { bf16: 0x7f80_7f80, f16: 0x7c00_7c00 };

/** The index of the first NaN or infinity among numbers of a 16-bit type, or −1. */
export function firstNonFiniteHalf(halves: Uint16Array, storage: HalfStorage): number {
  const exponent = HALF_EXPONENTS[storage] & 0xffff;
  const words = new Int32Array(halves.buffer, halves.byteOffset, halves.length >> 1);
  const isOdd = halves.length % 2 === 1 && (halves[halves.length - 1] & exponent) === exponent;
  if (!anyAllOnes(words, HALF_EXPONENTS[storage]) && !isOdd) return -1;
  return halves.findIndex((half) => (half & exponent) === exponent);
}

/**
 * True if any 16-bit number has an exponent of all ones. Adding the exponent's lowest bit then carries into the sign bit,
 * and never beyond it.
 */
function anyAllOnes(words: Int32Array, exponents: number): boolean {
  const lowest = exponents & ~(exponents << 1);
  let carries = 0;
  for (let i = 0; i < words.length; i++) carries |= (words[i] & exponents) + lowest;
  return (carries & 0x8000_8000) !== 0;
}

/** The index of the first NaN or infinity, or −1. About 0.07 s for 124M numbers. */
export function firstNonFinite(values: Float32Array): number {
  for (let at = 0; at < values.length; at += BLOCK) {
    const length = Math.min(BLOCK, values.length - at);
    const bits = new Int32Array(values.buffer, values.byteOffset + 4 * at, length);
    if (anyNonFinite(bits)) return at + bits.findIndex((word) => (word & EXPONENT) === EXPONENT);
  }
  return -1;
}

/** Numbers per call of `anyNonFinite`: 64 KB. */
const BLOCK = 16_384;
const EXPONENT = 0x7f80_0000;
/** The exponent's lowest bit: adding it carries into the sign bit only if the exponent is all ones. */
const CARRY = 0x0080_0000;

/**
 * True if any of these float32 numbers is NaN or infinite, that is, has an exponent of all ones. The function is small and
 * called often, so V8 optimizes it after a few blocks instead of in the middle of one long loop; without branches and with
 * four independent sums, it is as fast in the first load of a process as in later ones.
 */
function anyNonFinite(bits: Int32Array): boolean {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (const end = bits.length - 3; i < end; i += 4) {
    a |= (bits[i] & EXPONENT) + CARRY;
    b |= (bits[i + 1] & EXPONENT) + CARRY;
    c |= (bits[i + 2] & EXPONENT) + CARRY;
    d |= (bits[i + 3] & EXPONENT) + CARRY;
  }
  for (; i < bits.length; i++) a |= (bits[i] & EXPONENT) + CARRY;
  return (a | b | c | d) < 0;
}
