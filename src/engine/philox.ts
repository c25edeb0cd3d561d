/**
 * Philox4x32-10, the counter-based random generator of Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3"
 * (SC 2011). A pure function: the same 128-bit counter and 64-bit key always give the same four 32-bit words, so
 * randomness has no hidden state, any element can be drawn by any thread, and a resumed run draws what the
 * uninterrupted one would have.
 *
 * The third and fourth counter words, with the site numbers in `Stream`, keep the uses apart; sampling needs the second, too.
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
  const middle = Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16); // can pass 2³¹: unsigned from here on
  const carry = (middle >>> 0) & 0xffff;
  const cross = (Math.imul(aLow, bHigh) >>> 0) + carry;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + Math.floor(cross / 65536)) | 0;
}

/**
 * The fourth counter word of everything drawn outside the training step, so that no two uses share a counter. Dropout
 * has the number of its micro-batch there, which stays far below these.
 */
export const Stream = {
  init: 0x494e4954,
  batches: 0x42415443,
  sampling: 0x53414d50,
  gradcheck: 0x47524144,
} as const;

/** Splits a seed (a safe integer ≥ 0) into the generator's two key words. */
export const seedKey = (seed: number): [number, number] => [seed | 0, Math.floor(seed / 2 ** 32) | 0];

/**
 * Numbers drawn one after the other from stream (key, c1, c2, c3): word i is lane i mod 4 of counter ⌊i/4⌋, whose upper half
 * starts at c1. Streams that differ in c1 alone share no number before word 2³⁴.
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

  /** The next 32 random bits, as an unsigned number. */
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

  /** A whole number in [0, n), every one equally likely (Lemire 2019 without the multiplication: rejection). */
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
