import { expect, test } from 'vitest';
import { backends } from '../fixtures/backends.ts';

const wasm = Object.entries(backends).filter(([name]) => name.startsWith('wasm'));

test.each(wasm)('finds the first NaN or infinity in its memory: %s', async (_name, make) => {
  const backend = await make();
  backend.reserve(1024);
  const finite = [0, -0, 1e-45, -1e-45, 3.4028234663852886e38, -3.4028234663852886e38, 1];
  const find = backend.firstNonFinite!;
  // Lengths and starts that are no multiple of a vector or a block; what surrounds the array is not finite.
  for (const start of [1, 4, 7])
    for (const length of [0, 1, 3, 63, 64, 65, 200]) {
      const values = backend.floats.fill(NaN).subarray(start, start + length) as Float32Array;
      values.forEach((_, i) => (values[i] = finite[i % finite.length]));
      expect(find(values)).toBe(-1);
      for (const bad of [NaN, -NaN, Infinity, -Infinity])
        for (const index of [0, 2, 62, 63, 64, 127, 128, 199].filter((i) => i < length)) {
          const before = values[index];
          values[index] = bad;
          values[length - 1] = NaN;
          expect(find(values)).toBe(index);
          values[index] = before;
          values[length - 1] = finite[(length - 1) % finite.length];
        }
    }
});

test.each(wasm)('arrays outside its memory are left to the caller: %s', async (_name, make) => {
  const backend = await make();
  backend.reserve(16);
  const before = backend.floats.subarray(0, 16) as Float32Array;
  expect(backend.firstNonFinite!(Float32Array.of(NaN))).toBeUndefined();
  backend.reserve(2 ** 20); // memory that has grown is another buffer
  before[5] = NaN;
  expect([5, undefined]).toContain(backend.firstNonFinite!(before));
  expect(backend.firstNonFinite!(backend.floats.subarray(0, 16) as Float32Array)).toBe(5);
});
