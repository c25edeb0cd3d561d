/**
 * Q8, a type of weights that are only read: blocks of 32 numbers, each a float32 scale and 32 signed bytes. A number is
 * scale · byte, where scale = max|x| / 127 over its block, as in llama.cpp's Q8_0, whose scale is a float16.
 */

/** Numbers in a block. A row of a matrix consists of whole blocks. */
export const Q8_BLOCK = 32;
export const Q8_BLOCK_BYTES = 4 + Q8_BLOCK;

/** The largest byte. −128 is not used, so that x and −x are stored alike. */
const LARGEST = 127;

/** @param numbers whole blocks */
export function toQ8(numbers: Float32Array): Uint8Array {
  if (numbers.length % Q8_BLOCK !== 0)
    throw new RangeError(`${numbers.length} numbers are not whole blocks of ${Q8_BLOCK}`);
  const buffer = new ArrayBuffer((numbers.length / Q8_BLOCK) * Q8_BLOCK_BYTES);
  const [scales, bytes] = [new Float32Array(buffer), new Int8Array(buffer)];
  for (let first = 0, at = 0; first < numbers.length; first += Q8_BLOCK, at += Q8_BLOCK_BYTES) {
    let largest = 0;
    for (let i = first; i < first + Q8_BLOCK; i++) {
      const x = numbers[i] < 0 ? -numbers[i] : numbers[i];
      if (x > largest) largest = x;
    }
    const scale = scaleOf(largest);
    scales[at / 4] = scale;
    const factor = scale > 0 ? 1 / scale : 0;
    for (let i = 0; i < Q8_BLOCK; i++) bytes[at + 4 + i] = rounded(numbers[first + i] * factor);
  }
  return new Uint8Array(buffer);
}

/** The largest byte must not become infinite: the scale of the largest float32 numbers is rounded down. */
function scaleOf(largest: number): number {
  const scale = Math.fround(largest / LARGEST);
  return largest < Infinity && Math.fround(LARGEST * scale) === Infinity
    ? Math.fround(scale * (1 - 2 ** -23))
    : scale;
}

/** To the nearest byte, halves away from 0. */
function rounded(x: number): number {
  const whole = x < 0 ? Math.trunc(x - 0.5) : Math.trunc(x + 0.5);
  return whole > LARGEST ? LARGEST : whole < -LARGEST ? -LARGEST : whole; // beyond it where the scale is subnormal
}

/** @param bytes whole blocks */
export function fromQ8({ buffer, byteOffset, length }: Uint8Array): Float32Array {
  const scales = new Float32Array(buffer, byteOffset, length / 4);
  const bytes = new Int8Array(buffer, byteOffset, length);
  const numbers = new Float32Array((length / Q8_BLOCK_BYTES) * Q8_BLOCK);
  for (let first = 0, at = 0; first < numbers.length; first += Q8_BLOCK, at += Q8_BLOCK_BYTES)
    for (let i = 0; i < Q8_BLOCK; i++) numbers[first + i] = scales[at / 4] * bytes[at + 4 + i];
  return numbers;
}
