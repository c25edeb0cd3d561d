/**
 * A pseudorandom permutation that can be evaluated at any single index. It needs no table or state, so a resumed run, another
 * thread or another process can evaluate it independently.
 *
 * A Feistel network is a bijection on an even number of bits, whatever its round function. Applied again until the result is
 * in range ("cycle walking"), it permutes a range of any size; at most four applications are expected, since the network
 * covers less than four times the range (Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains").
 */
import { philox4x32, seedKey, Stream } from '../engine/philox.ts';

/** With random round functions, four rounds are pseudorandom on large ranges; small ranges need more. */
const ROUNDS = 6;

/**
 * The image of `index` under a permutation of 0 … size − 1. Every pair of seed and number selects a different permutation.
 *
 * @param index 0 … size − 1
 * @param size from 1, below 2⁵²
 * @param number selects one of the seed's permutations, modulo 2³²
 */
export function permuted(index: number, size: number, seed: number, number: number): number {
  const half = halfRange(size);
  const key = seedKey(seed);
  const words = new Uint32Array(4);
  let value = index;
  do {
    let [left, right] = [Math.floor(value / half), value % half];
    for (let round = 0; round < ROUNDS; round++) {
      philox4x32([right, round, number | 0, Stream.permutation], key, words);
      [left, right] = [right, left ^ (words[0] & (half - 1))];
    }
    value = left * half + right;
  } while (value >= size);
  return value;
}

/** The smallest power of two whose square is at least `size`. */
function halfRange(size: number): number {
  let half = 1;
  while (half * half < size) half *= 2;
  return half;
}
