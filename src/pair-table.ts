/**
 * A hash table that numbers pairs of integers in insertion order and stores a value with each, for example merges of
 * tokens, or edges (node, token) of a graph. Open addressing on typed arrays takes 20 to 40 bytes per pair; a Map takes
 * 100.
 */
export class PairTable {
  #first: Int32Array;
  #second: Int32Array;
  /** The value of each pair, initially 0, set by the caller. Fetch the array again after `add`, which may replace it. */
  values: Int32Array;
  /** Number of the pair in each slot, plus 1; 0 means free. At most half full. */
  #slots: Int32Array;
  #size = 0;

  constructor(capacity = 1024) {
    this.#first = new Int32Array(capacity);
    this.#second = new Int32Array(capacity);
    this.values = new Int32Array(capacity);
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * capacity)));
  }

  get size(): number {
    return this.#size;
  }

  /** The two numbers of a pair. */
  first(pair: number): number {
    return this.#first[pair];
  }
  second(pair: number): number {
    return this.#second[pair];
  }

  /** Number of the pair, or −1. */
  find(first: number, second: number): number {
    return this.#slots[this.#slot(first, second)] - 1;
  }

  /** Number of the pair, which is added if it is new; then its number is the previous size. */
  add(first: number, second: number): number {
    let slot = this.#slot(first, second);
    const found = this.#slots[slot];
    if (found > 0) return found - 1;
    if (this.#size === this.#first.length) {
      this.#grow();
      slot = this.#slot(first, second);
    }
    const pair = this.#size++;
    this.#first[pair] = first;
    this.#second[pair] = second;
    this.#slots[slot] = pair + 1;
    return pair;
  }

  /** The slot of a pair, or the free slot where it belongs. */
  #slot(first: number, second: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hash = Math.imul(first, 0x9e3779b1) ^ Math.imul(second, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    let slot = (hash ^ (hash >>> 13)) & mask;
    for (;;) {
      const pair = slots[slot] - 1;
      if (pair < 0 || (this.#first[pair] === first && this.#second[pair] === second)) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #grow(): void {
    const grow = (numbers: Int32Array): Int32Array => {
      const larger = new Int32Array(2 * numbers.length);
      larger.set(numbers);
      return larger;
    };
    this.#first = grow(this.#first);
    this.#second = grow(this.#second);
    this.values = grow(this.values);
    this.#slots = new Int32Array(2 * this.#slots.length);
    for (let pair = 0; pair < this.#size; pair++)
      this.#slots[this.#slot(this.#first[pair], this.#second[pair])] = pair + 1;
  }
}
