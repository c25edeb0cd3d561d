/**
 * The two 16-bit formats of weights. float32 is rounded to the nearest value, ties to even, as PyTorch and numpy round; the
 * other direction is exact.
 */

/** Halfway from the largest float16, 65,504, to 2¹⁶: from here on, numbers round to infinity. */
const FLOAT16_OVERFLOW = 65_520;
/** The same for bfloat16: halfway from (2 − 2⁻⁷)·2¹²⁷ to 2¹²⁸. */
const BFLOAT16_OVERFLOW = (2 - 2 ** -8) * 2 ** 127;

const bitsOf = ({ buffer, byteOffset, length }: Float32Array): Uint32Array =>
  new Uint32Array(buffer, byteOffset, length);

const number = new Float32Array(1);
const numberBits = bitsOf(number);
/** Adding 0.5 to a float32 below 2⁻¹⁴ leaves it as a multiple of 2⁻²⁴, the step of float16's subnormals, in the low bits. */
const HALF_BITS = 0x3f00_0000;

/** The bits of x as IEEE 754 binary16: 1 sign, 5 exponent and 10 fraction bits. */
export function float16Bits(x: number): number {
  number[0] = x;
  const sign = (numberBits[0] >>> 16) & 0x8000;
  const magnitude = numberBits[0] & 0x7fff_ffff;
  if (magnitude > 0x7f80_0000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x4780_0000) return sign | 0x7c00; // 2¹⁶ and above
  if (magnitude < 0x3880_0000) {
    number[0] = Math.abs(x) + 0.5;
    return sign | (numberBits[0] - HALF_BITS);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
  return sign | ((rounded >>> 13) - (112 << 10)); // exponents are biased by 127 in float32, by 15 here
}

export function toFloat16(values: Float32Array): Uint16Array {
  const halves = new Uint16Array(values.length);
  for (let i = 0; i < values.length; i++) halves[i] = float16Bits(values[i]);
  return halves;
}

/** The index of the first finite number that would round to infinity, or −1. */
export const firstBeyondFloat16 = (values: Float32Array): number => firstBeyond(values, FLOAT16_OVERFLOW);
export const firstBeyondBfloat16 = (values: Float32Array): number => firstBeyond(values, BFLOAT16_OVERFLOW);

const firstBeyond = (values: Float32Array, overflow: number): number =>
  values.findIndex((x) => Math.abs(x) >= overflow && Math.abs(x) < Infinity);

/** The upper half of a float32. @param halves as long as `values`; may be the first half of their memory */
export function toBfloat16(
  values: Float32Array,
  halves: Uint16Array = new Uint16Array(values.length),
): Uint16Array {
  const bits = bitsOf(values);
  for (let i = 0; i < bits.length; i++) {
    const isNaN = (bits[i] & 0x7fff_ffff) > 0x7f80_0000;
    halves[i] = isNaN ? (bits[i] >>> 16) | 64 : (bits[i] + 0x7fff + ((bits[i] >>> 16) & 1)) >>> 16;
  }
  return halves;
}

/** The float32 of each of the 65,536 half-precision numbers. */
let table: Float32Array | undefined;

/** @param into as long as `halves` */
export function fromFloat16(
  halves: Uint16Array,
  into: Float32Array = new Float32Array(halves.length),
): Float32Array {
  table ??= Float32Array.from({ length: 0x10000 }, (_, bits) => fromFloat16Bits(bits));
  for (let i = 0; i < halves.length; i++) into[i] = table[halves[i]];
  return into;
}

function fromFloat16Bits(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** @param into as long as `halves`, which may be the second half of its memory */
export function fromBfloat16(
  halves: Uint16Array,
  into: Float32Array = new Float32Array(halves.length),
): Float32Array {
  const bits = bitsOf(into);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i] << 16;
  return into;
}

/** Converts numbers of either type to float32. */
export const widened = (halves: Uint16Array, storage: 'bf16' | 'f16'): Float32Array =>
  storage === 'bf16' ? fromBfloat16(halves) : fromFloat16(halves);
