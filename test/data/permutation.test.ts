import { assert, integer, property } from 'fast-check';
import { expect, test } from 'vitest';
import { permuted } from '../../src/data/permutation.ts';

const all = (size: number, seed: number, number: number): number[] =>
  Array.from({ length: size }, (_, i) => permuted(i, size, seed, number));

test('maps indices one to one', () => {
  assert(
    property(integer({ min: 1, max: 300 }), integer({ min: -3, max: 2 ** 31 - 1 }), (size, number) => {
      expect(all(size, 1, number).sort((a, b) => a - b)).toEqual(Array.from({ length: size }, (_, i) => i));
    }),
    { seed: 1, numRuns: 50 },
  );
});

test('each seed and each number yields a different order', () => {
  expect(all(100, 1, 0)).toEqual(all(100, 1, 0));
  expect(all(100, 1, 0)).not.toEqual(all(100, 1, 1));
  expect(all(100, 1, 0)).not.toEqual(all(100, 2, 0));
  expect(all(100, 1, 0)).not.toEqual(all(100, 1 + 2 ** 32, 0));
});

test.each([2, 3, 5, 16, 17])('%i indices: each is equally often in each place', (size) => {
  const ORDERS = 2000;
  const counts = Array.from({ length: size }, () => new Float64Array(size));
  for (let number = 0; number < ORDERS; number++)
    all(size, 1, number).forEach((place, index) => counts[index][place]++);
  const expected = ORDERS / size;
  const chiSquare = counts
    .flatMap((row) => [...row])
    .reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  const degrees = (size - 1) ** 2;
  expect(Math.abs(chiSquare - degrees)).toBeLessThan(4 * Math.sqrt(2 * degrees));
});

test('neighbors do not stay neighbors', () => {
  const places = all(10_000, 1, 0);
  const together = places.filter((place, i) => Math.abs(place - places[i + 1]) === 1).length;
  expect(together).toBeLessThan(12); // 2 are expected
});

test('a range larger than memory needs no memory', () => {
  const size = 2 ** 51 - 1;
  const places = [0, 1, 2 ** 40, size - 1].map((index) => permuted(index, size, 1, 0));
  expect(new Set(places).size).toBe(4);
  expect(places.every((place) => Number.isInteger(place) && place >= 0 && place < size)).toBe(true);
});
