/**
 * Pairs of whole numbers, such as the two tokens of a merge, or (node, token) in a tree or graph of tokens, numbered in the
 * order in which they were added, each with a value. A hash table with open addressing on typed arrays: 20 to 40 bytes a pair, where a Map takes 100.
 */
export class PairTable {
  #first: Int32Array;
  #second: Int32Array;
  /** A number kept with each pair, for the caller to set; 0 at first. Fetch it anew after `add`, which may replace it. */
  values: Int32Array;
  /** The number of the pair in each slot, plus 1; 0: free. At most half of them are taken. */
  #slots: Int32Array;
  #size = 0;

  constructor(capacity = 1024) {
    this.#first = new Int32Array(capacity);
    this.#second = new Int32Array(capacity);
    this.values = new Int32Array(capacity);
    this.#slots = new Int32Array(2 ** Math.ceil(Math.log2(2 * capacity)));
  }

  /** How many pairs there are. */
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

  /** The number of a pair; −1 if it was not added. */
  find(first: number, second: number): number {
    return this.#slots[this.#slot(first, second)] - 1;
  }

  /** The number of a pair, which is added if it is not there: then the number is the size before. */
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

  /** Where a pair is, or would be put. */
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
