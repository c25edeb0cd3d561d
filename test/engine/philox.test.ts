import { describe, expect, test } from 'vitest';
import { Philox, philox4x32, seedKey } from '../../src/engine/philox.ts';

describe('philox4x32-10', () => {
  // The known answers that the authors publish with Random123 (kat_vectors).
  test.each([
    [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [[-1, -1, -1, -1], [-1, -1], '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      'd16cfe09 94fdcceb 5001e420 24126ea1',
    ],
  ])('counter %j, key %j', (counter, key, expected) => {
    const out = new Uint32Array(4);
    philox4x32(counter as [number, number, number, number], key as [number, number], out);
    expect([...out].map((word) => word.toString(16).padStart(8, '0')).join(' ')).toBe(expected);
  });
});

const draw = (seed: number, c2: number, c1 = 0): number[] => {
  const random = new Philox(seed, c2, 0, c1);
  return Array.from({ length: 6 }, () => random.uint32());
};

test('a stream depends only on seed and position, and seeds beyond 32 bits are used in full', () => {
  expect(draw(1, 0)).toEqual(draw(1, 0));
  expect(draw(1, 0)).not.toEqual(draw(1, 1));
  expect(draw(1, 0, 1)).not.toEqual(draw(1, 0));
  expect(draw(1, 0, 1)).not.toEqual(draw(1, 1, 1));
  expect(draw(1, 0)).not.toEqual(draw(1 + 2 ** 32, 0));
  expect(seedKey(2 ** 40 + 5)).toEqual([5, 256]);
});

test('uniform, below and normal numbers have the right moments', () => {
  const random = new Philox(3, 0, 0);
  const n = 40_000;
  let sum = 0;
  let squares = 0;
  const counts = [0, 0, 0];
  for (let i = 0; i < n / 2; i++)
    for (const x of random.normalPair()) {
      sum += x;
      squares += x * x;
    }
  for (let i = 0; i < n; i++) counts[random.below(3)]++;
  expect(Math.abs(sum / n)).toBeLessThan(0.02); // 4 standard errors
  expect(Math.abs(squares / n - 1)).toBeLessThan(0.03);
  for (const count of counts) expect(Math.abs(count / n - 1 / 3)).toBeLessThan(0.01);
  for (let i = 0; i < 1000; i++) expect(random.uniform()).toSatisfy((u: number) => u >= 0 && u < 1);
});
