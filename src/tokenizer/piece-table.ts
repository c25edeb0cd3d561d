import type { TextUnits } from './text-units.ts';

/** UTF-16 units of a piece stored in its slot. */
const HELD = 8;
/** Integers per slot: four for the first eight units, the length, the number plus one (0: empty), two unused. */
const SLOT = 8;
const LENGTH = 4;
const NUMBER = 5;

/** Masks that select the units of a piece of 0 … 8 units in the four integers of its slot. */
const MASKS = Int32Array.from({ length: 4 * (HELD + 1) }, (_, i) => {
  const units = (i >> 2) - 2 * (i & 3);
  return units >= 2 ? -1 : units === 1 ? 0xffff : 0;
});

/**
 * A hash table from pieces of text to numbers 0, 1, 2, …, in insertion order. Pieces are looked up in place: a `Map` would
 * need a string for each, which takes longer than the rest of tokenization.
 *
 * Open addressing with linear probing (Knuth, The Art of Computer Programming, vol. 3, 6.4, algorithm L), at most half
 * full. Nine of ten words have at most eight units. They are hashed and compared as four integers without a loop, since
 * mispredicting the end of a short loop costs more than the arithmetic.
 */
export class PieceTable {
  /** Number of pieces. */
  size = 0;
  #slots = new Int32Array(SLOT << 10);
  /** Units of all pieces, concatenated, and the end of each piece. */
  #units = new Uint16Array(1 << 12);
  #ends = new Uint32Array(1 << 9);

  /** Number of the piece `text[start, end)`, or −1. */
  find(text: TextUnits, start: number, end: number): number {
    return this.#find(text, start, end, false);
  }

  /** Number of the piece, which is added if it is new. */
  add(text: TextUnits, start: number, end: number): number {
    const id = this.#find(text, start, end, true);
    if (id >= 0) return id;
    const from = this.#startOf(this.size);
    const to = from + end - start;
    if (to > this.#units.length) this.#units = enlarged(this.#units, 2 * to);
    if (this.size === this.#ends.length) this.#ends = enlarged(this.#ends, 2 * this.size);
    for (let i = from; i < to; i++) this.#units[i] = text.getUint16(2 * (start + i - from), true);
    this.#ends[this.size++] = to;
    if (2 * SLOT * this.size > this.#slots.length) this.#grow();
    return this.size - 1;
  }

  text(id: number): string {
    let text = '';
    for (let i = this.#startOf(id); i < this.#ends[id]; i++) text += String.fromCharCode(this.#units[i]);
    return text;
  }

  #startOf(id: number): number {
    return id === 0 ? 0 : this.#ends[id - 1];
  }

  /** Number of a piece, or −1; then its slot is filled if `add` is true. */
  #find(text: TextUnits, start: number, end: number, add: boolean): number {
    const length = end - start;
    const mask = 4 * Math.min(length, HELD);
    const a = text.getInt32(2 * start, true) & MASKS[mask];
    const b = text.getInt32(2 * start + 4, true) & MASKS[mask + 1];
    const c = text.getInt32(2 * start + 8, true) & MASKS[mask + 2];
    const d = text.getInt32(2 * start + 12, true) & MASKS[mask + 3];
    const slots = this.#slots;
    const last = slots.length - 1;
    for (let slot = slotOf(a, b, c, d, length, last); ; slot = (slot + SLOT) & last) {
      const id = slots[slot + NUMBER] - 1;
      if (
        slots[slot] === a &&
        slots[slot + 1] === b &&
        slots[slot + 2] === c &&
        slots[slot + 3] === d &&
        slots[slot + LENGTH] === length &&
        (length <= HELD || this.#sameEnd(id, text, start))
      )
        return id;
      if (id < 0) {
        if (add) slots.set([a, b, c, d, length, this.size + 1], slot);
        return -1;
      }
    }
  }

  /** Compares the units of two pieces of equal length from the ninth on. */
  #sameEnd(id: number, text: TextUnits, start: number): boolean {
    const from = this.#startOf(id);
    for (let i = from + HELD; i < this.#ends[id]; i++)
      if (this.#units[i] !== text.getUint16(2 * (start + i - from), true)) return false;
    return true;
  }

  #grow(): void {
    const old = this.#slots;
    const slots = new Int32Array(2 * old.length);
    const last = slots.length - 1;
    for (let from = 0; from < old.length; from += SLOT) {
      if (old[from + NUMBER] === 0) continue;
      const [a, b, c, d, length] = old.subarray(from, from + SLOT);
      let slot = slotOf(a, b, c, d, length, last);
      while (slots[slot + NUMBER] !== 0) slot = (slot + SLOT) & last;
      slots.set(old.subarray(from, from + SLOT), slot);
    }
    this.#slots = slots;
  }
}

/** Multiplicative hashing (Knuth, 6.4); the high bits are folded into the low ones that select the slot. */
function slotOf(a: number, b: number, c: number, d: number, length: number, last: number): number {
  const hash =
    Math.imul(a, 0x9e3779b1) ^
    Math.imul(b, 0x85ebca6b) ^
    Math.imul(c, 0xc2b2ae35) ^
    Math.imul(d ^ length, 0x27d4eb2f);
  return ((hash ^ (hash >>> 15)) * SLOT) & last;
}

function enlarged<T extends Uint16Array | Uint32Array>(array: T, length: number): T {
  const larger = new (array.constructor as new (length: number) => T)(length);
  larger.set(array);
  return larger;
}
