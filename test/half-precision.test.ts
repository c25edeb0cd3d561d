import { expect, test } from 'vitest';
import { converters } from '../src/checkpoint/safetensors-dtypes.ts';
import { firstBeyondFloat16, float16Bits, toBfloat16, toFloat16 } from '../src/half-precision.ts';

const all = Uint16Array.from({ length: 0x10000 }, (_, bits) => bits);
const widened = (dtype: 'F16' | 'BF16'): Float32Array => {
  const values = new Float32Array(all.length);
  converters[dtype]!(new Uint8Array(all.buffer), values);
  return values;
};

test.each([
  ['F16', toFloat16],
  ['BF16', toBfloat16],
] as const)('every %s keeps its bits', (dtype, narrow) => {
  const values = widened(dtype);
  const kept = narrow(values);
  expect(all.filter((bits) => kept[bits] !== bits && !Number.isNaN(values[bits]))).toHaveLength(0);
});

test('a NaN stays one', () => {
  const [half] = toFloat16(Float32Array.of(NaN));
  const [brain] = toBfloat16(new Float32Array(Uint32Array.of(0x7f80_0001).buffer));
  expect((half & 0x7fff) > 0x7c00).toBe(true);
  expect((brain & 0x7fff) > 0x7f80).toBe(true);
});

/** Halfway is exact in float32, which has 13 more bits. */
test('halfway between two float16 goes to the even one, everything else to the nearer', () => {
  const values = widened('F16');
  for (let bits = 0; bits < 0x7bff; bits += 37) {
    const [low, high] = [values[bits], values[bits + 1]];
    const middle = (low + high) / 2;
    const even = bits % 2 === 0 ? bits : bits + 1;
    expect(float16Bits(middle), `${middle}`).toBe(even);
    expect(float16Bits(-middle), `${-middle}`).toBe(0x8000 | even);
    expect(float16Bits(middle - (high - low) / 256)).toBe(bits);
    expect(float16Bits(middle + (high - low) / 256)).toBe(bits + 1);
  }
});

test('halfway between two bfloat16 goes to the even one', () => {
  const halfway = new Float32Array(Uint32Array.of(0x3f80_8000, 0x3f81_8000, 0x3f80_8001, 0x3f81_7fff).buffer);
  expect([...toBfloat16(halfway)]).toEqual([0x3f80, 0x3f82, 0x3f81, 0x3f81]);
});

test('numbers beyond float16 are found; those that round to its largest, and infinity, are none', () => {
  expect(firstBeyondFloat16(Float32Array.of(1, -65_504, 65_519, Infinity, -65_520))).toBe(4);
  expect(firstBeyondFloat16(Float32Array.of(1, Infinity))).toBe(-1);
  expect(float16Bits(65_519)).toBe(0x7bff);
  expect(float16Bits(65_520)).toBe(0x7c00);
});
