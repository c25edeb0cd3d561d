/**
 * Philox4x32-10, the counter-based random generator of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3"
 * (SC 2011). It is a pure function of a 128-bit counter and a 64-bit key, so there is no hidden state: any thread can compute
 * any element, and a resumed run gets the numbers of an uninterrupted one.
 *
 * The third and fourth counter words, with the numbers in `Stream`, separate the uses; sampling uses the second as well.
 */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
  out: Uint32Array | Int32Array,
): void {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0);
    const high1 = multiplyHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0; // the golden ratio and √3 − 1, as fractions of 2³²
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** The upper 32 bits of the unsigned product of two 32-bit numbers, through 16-bit halves. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16); // may exceed 2³¹: unsigned from here on
  const carry = (middle >>> 0) & 0xffff;
  const cross = (Math.imul(aLow, bHigh) >>> 0) + carry;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + Math.floor(cross / 65536)) | 0;
}

/**
 * The fourth counter word of each use outside the training step, so that no two uses share a counter. Dropout has the index of
 * the micro-batch there, which is far smaller.
 */
export const Stream = {
  init: 0x494e4954,
  batches: 0x42415443,
  epochs: 0x45504f43,
  permutation: 0x5045524d,
  sampling: 0x53414d50,
  gradcheck: 0x47524144,
} as const;

/** Splits a seed (a safe integer ≥ 0) into the generator's two key words. */
export const seedKey = (seed: number): [number, number] => [seed | 0, Math.floor(seed / 2 ** 32) | 0];

/**
 * Sequential random numbers of stream (key, c1, c2, c3): word i is lane i mod 4 of counter ⌊i/4⌋, whose upper half starts at c1.
 * Streams that differ only in c1 are disjoint up to word 2³⁴.
 */
export class Philox {
  readonly #key: readonly [number, number];
  readonly #c1: number;
  readonly #c2: number;
  readonly #c3: number;
  readonly #words = new Uint32Array(4);
  #position = 0;

  constructor(seed: number, c2: number, c3: number, c1 = 0) {
    this.#key = seedKey(seed);
    this.#c1 = c1;
    this.#c2 = c2;
    this.#c3 = c3;
  }

  /** The next 32 random bits, unsigned. */
  uint32(): number {
    const lane = this.#position & 3;
    if (lane === 0) {
      const block = this.#position / 4;
      const upper = (this.#c1 + Math.floor(block / 2 ** 32)) | 0;
      philox4x32([block | 0, upper, this.#c2, this.#c3], this.#key, this.#words);
    }
    this.#position++;
    return this.#words[lane];
  }

  /** Uniform in [0, 1) with 32 random bits. */
  uniform(): number {
    return this.uint32() / 2 ** 32;
  }

  /** A uniform integer in [0, n), by rejection. */
  below(n: number): number {
    const limit = Math.floor(2 ** 32 / n) * n;
    let word = this.uint32();
    while (word >= limit) word = this.uint32();
    return word % n;
  }

  /** Two independent standard normal numbers (Box and Muller 1958). */
  normalPair(): [number, number] {
    const radius = Math.sqrt(-2 * Math.log((this.uint32() + 1) / 2 ** 32)); // + 1: never log 0
    const angle = 2 * Math.PI * this.uniform();
    return [radius * Math.cos(angle), radius * Math.sin(angle)];
  }
}
