/** Integers a slot has: left, right, number plus one (0: empty), one unused. */
const SLOT = 4;

/**
 * A hash table from pairs of token ids to numbers: 0, 1, 2, … in the order in which they were added. Open addressing with
 * linear probing, at most half full, as in PieceTable.
 */
export class PairTable {
  /** How many pairs there are. */
  size = 0;
  #slots = new Int32Array(SLOT << 10);

  /** The number of a pair, or −1. */
  find(left: number, right: number): number {
    return this.#slots[this.#slotOf(left, right) + 2] - 1;
  }

  /** The number of a pair, which is added if it is new. */
  add(left: number, right: number): number {
    const slot = this.#slotOf(left, right);
    if (this.#slots[slot + 2] !== 0) return this.#slots[slot + 2] - 1;
    this.#fill(slot, left, right, this.size++);
    if (2 * SLOT * this.size > this.#slots.length) this.#grow();
    return this.size - 1;
  }

  /** Where a pair is, or would be. */
  #slotOf(left: number, right: number): number {
    const slots = this.#slots;
    const last = slots.length - 1;
    const hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    let slot = ((hash ^ (hash >>> 15)) * SLOT) & last;
    while (slots[slot + 2] !== 0 && (slots[slot] !== left || slots[slot + 1] !== right))
      slot = (slot + SLOT) & last;
    return slot;
  }

  #fill(slot: number, left: number, right: number, number: number): void {
    this.#slots[slot] = left;
    this.#slots[slot + 1] = right;
    this.#slots[slot + 2] = number + 1;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(2 * old.length);
    for (let from = 0; from < old.length; from += SLOT) {
      const [left, right, number] = old.subarray(from, from + SLOT);
      if (number > 0) this.#fill(this.#slotOf(left, right), left, right, number - 1);
    }
  }
}
