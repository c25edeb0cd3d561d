import { assert, float32Array, nat, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromBfloat16, toBfloat16 } from '../../../src/half-precision.ts';
import { gradientDtypes, gradientFormats } from '../../../src/train/ranks/gradient-format.ts';

/** What the receiver has of numbers that are sent from one place in an array to another. */
function transfer(dtype: (typeof gradientDtypes)[number], numbers: Float32Array, at: number): Float32Array {
  const { pack, packedIn, unpack } = gradientFormats[dtype];
  const guarded = (): Float32Array => new Float32Array(at + numbers.length + 3).fill(7);
  const [from, to] = [guarded(), guarded()];
  from.set(numbers, at);
  const inside = (whole: Float32Array): Float32Array => whole.subarray(at, at + numbers.length);
  packedIn(inside(to)).set(pack(inside(from)));
  unpack(inside(to));
  for (const whole of [from, to]) {
    expect(whole.subarray(0, at).every((x) => x === 7)).toBe(true);
    expect(whole.subarray(at + numbers.length).every((x) => x === 7)).toBe(true);
  }
  return inside(to);
}

describe('gradients arrive', () => {
  test('as they are in float32', () => {
    assert(
      property(float32Array(), nat(5), (numbers, at) => {
        expect(transfer('f32', numbers, at)).toEqual(numbers);
      }),
    );
  });

  test('rounded to the nearest bfloat16, in the memory of the numbers', () => {
    assert(
      property(float32Array(), nat(5), (numbers, at) => {
        expect(transfer('bf16', numbers, at)).toEqual(fromBfloat16(toBfloat16(numbers)));
      }),
    );
  });
});

test('a number of 8 bits arrives as it is, one halfway goes to the even one, and NaN stays NaN', () => {
  const numbers = Float32Array.of(1, 1 + 2 ** -7, 1 + 2 ** -8, 1 + 3 * 2 ** -8, -0, Infinity, NaN, 1e-39);
  const expected = [1, 1 + 2 ** -7, 1, 1 + 2 ** -6, -0, Infinity, NaN];
  const arrived = transfer('bf16', numbers, 1);
  expect([...arrived.subarray(0, 7)]).toEqual(expected);
  expect(arrived[7] / 1e-39).toBeCloseTo(1, 1); // subnormal
});

test.each(gradientDtypes)('%s is sent in the bytes that a forecast counts', (dtype) => {
  const { pack, packedIn, bytesPerElement } = gradientFormats[dtype];
  expect(packedIn(new Float32Array(5)).byteLength).toBe(5 * bytesPerElement);
  expect(pack(new Float32Array(5)).byteLength).toBe(5 * bytesPerElement);
});
