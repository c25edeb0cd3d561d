import { expect, test } from 'vitest';
import { backends } from '../fixtures/backends.ts';

const wasm = Object.entries(backends).filter(([name]) => name.startsWith('wasm'));

test.each(wasm)('finds the first NaN or infinity in its memory: %s', async (_name, make) => {
  const device = await make();
  device.reserve(1024);
  const finite = [0, -0, 1e-45, -1e-45, 3.4028234663852886e38, -3.4028234663852886e38, 1];
  // Lengths and starts that are no multiple of a vector or a block; what surrounds the range is not finite.
  for (const start of [1, 4, 7])
    for (const length of [0, 1, 3, 63, 64, 65, 200]) {
      const values = Float32Array.from({ length }, (_, i) => finite[i % finite.length]);
      const find = (): number => {
        device.fill(0, 1024, NaN);
        device.write(start, values);
        return device.firstNonFinite!(start, length);
      };
      expect(find()).toBe(-1);
      for (const bad of [NaN, -NaN, Infinity, -Infinity])
        for (const index of [0, 2, 62, 63, 64, 127, 128, 199].filter((i) => i < length)) {
          const before = values.slice();
          values[length - 1] = NaN;
          values[index] = bad;
          expect(find()).toBe(index);
          values.set(before);
        }
    }
});

test.each(wasm)('after its memory has grown, too: %s', async (_name, make) => {
  const device = await make();
  device.reserve(16);
  device.write(5, Float32Array.of(NaN));
  device.reserve(2 ** 24);
  device.write(2 ** 24 - 1, Float32Array.of(Infinity));
  expect(device.firstNonFinite!(0, 16)).toBe(5);
  expect(device.firstNonFinite!(2 ** 24 - 8, 8)).toBe(7);
});
