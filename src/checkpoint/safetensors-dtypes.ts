/** Converts the dtypes of safetensors to and from float32, and searches for NaN and infinity. */
import { toBfloat16, toFloat16 } from '../half-precision.ts';
import type { Dtype } from './safetensors-header.ts';

type Converter = (bytes: Uint8Array, values: Float32Array, from: number) => void;

/** Converts the bytes of one dtype to `values[from…]`. Absent for dtypes that no weights are stored in; F32 needs none. */
export const converters: { readonly [D in Dtype]?: Converter } = {
  F64: (bytes, values, from) =>
    values.set(new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8), from),
  F16: (bytes, values, from) => {
    const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
    const table = halfTable();
    for (let i = 0; i < halves.length; i++) values[from + i] = table[halves[i]];
  },
  // The upper half of a float32.
  BF16: (bytes, values, from) => {
    const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    for (let i = 0; i < halves.length; i++) bits[from + i] = halves[i] << 16;
  },
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

/** The float32 of each of the 65,536 half-precision numbers. */
let halves: Float32Array | undefined;
const halfTable = (): Float32Array =>
  (halves ??= Float32Array.from({ length: 0x10000 }, (_, bits) => fromHalf(bits)));

/** IEEE 754 binary16: 1 sign, 5 exponent and 10 fraction bits. */
function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
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
/** Added to an exponent that is all ones, and to no other, it carries into the sign bit. */
const CARRY = 0x0080_0000;

/**
 * Whether any of these float32 is NaN or infinite, that is, has an exponent of all ones. Small and called often, so V8
 * optimizes it after a few blocks instead of within one long loop; without branches and with four independent sums, it is as
 * fast in the first load of a process as in later ones.
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
