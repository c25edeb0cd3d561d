/**
 * Byte pair encoding of one piece of text (Sennrich, Haddow & Birch 2016): it starts as its bytes, and of all pairs of
 * neighbours the one that was learned first is joined, the leftmost of equal ones, until there is none to join.
 */
import { Heap } from './heap.ts';
import { PairTable } from '../pair-table.ts';
import type { TextUnits } from './text-units.ts';

/** Two tokens that join to one. Earlier merges go first. */
export interface Merge {
  readonly left: number;
  readonly right: number;
  readonly joined: number;
}

/** From this length on, a heap is faster than looking at every pair for each merge. */
const LONG = 64;
/** No merge has this rank. */
const NEVER = 0x7fffffff;

export class PieceEncoder {
  /** The ids of the last piece encoded are the first of these. */
  ids = new Int32Array(256);
  readonly #ranks = new Int32Array(LONG);
  /** The token of each byte. */
  readonly #byteIds: Int32Array;
  /** The number of a pair is its rank: how many were learned before it. */
  readonly #pairs = new PairTable();
  /** What a pair joins to, by its rank. */
  readonly #joined: Int32Array;

  /** @param merges no pair twice */
  constructor(byteIds: Int32Array, merges: readonly Merge[]) {
    this.#byteIds = byteIds;
    this.#joined = Int32Array.from(merges, ({ joined }) => joined);
    for (const { left, right } of merges) this.#pairs.add(left, right);
  }

  /** Encodes the piece of a well-formed text from unit `start` up to `end`. @returns how many ids there are */
  encode(units: TextUnits, start: number, end: number): number {
    const most = 3 * (end - start);
    if (most > this.ids.length) this.ids = new Int32Array(2 * most);
    const length = this.#bytes(units, start, end);
    return length < LONG ? this.#mergeShort(length) : this.#mergeLong(length);
  }

  /** The tokens of the bytes of UTF-8. */
  #bytes(units: TextUnits, start: number, end: number): number {
    const ids = this.ids;
    const byteIds = this.#byteIds;
    let n = 0;
    for (let i = start; i < end; i++) {
      let point = units.getUint16(2 * i, true);
      if (point < 0x80) {
        ids[n++] = byteIds[point];
        continue;
      }
      if (point < 0x800) ids[n++] = byteIds[0xc0 | (point >> 6)];
      else {
        if ((point & 0xfc00) === 0xd800) {
          point = 0x10000 + ((point & 0x3ff) << 10) + (units.getUint16(2 * ++i, true) & 0x3ff);
          ids[n++] = byteIds[0xf0 | (point >> 18)];
          ids[n++] = byteIds[0x80 | ((point >> 12) & 0x3f)];
        } else ids[n++] = byteIds[0xe0 | (point >> 12)];
        ids[n++] = byteIds[0x80 | ((point >> 6) & 0x3f)];
      }
      ids[n++] = byteIds[0x80 | (point & 0x3f)];
    }
    return n;
  }

  #rank(left: number, right: number): number {
    const rank = this.#pairs.find(left, right);
    return rank < 0 ? NEVER : rank;
  }

  /** Looks at every pair for each merge: quadratic, without anything to set up. */
  #mergeShort(length: number): number {
    const ids = this.ids;
    const ranks = this.#ranks; // of the pair that starts at each token
    let last = length - 1;
    for (let i = 0; i < last; i++) ranks[i] = this.#rank(ids[i], ids[i + 1]);
    for (;;) {
      let rank = NEVER;
      let at = 0;
      for (let i = 0; i < last; i++)
        if (ranks[i] < rank) {
          rank = ranks[i];
          at = i;
        }
      if (rank === NEVER) return last + 1;
      ids[at] = this.#joined[rank];
      last--;
      for (let i = at + 1; i <= last; i++) {
        ids[i] = ids[i + 1];
        ranks[i] = ranks[i + 1];
      }
      if (at > 0) ranks[at - 1] = this.#rank(ids[at - 1], ids[at]);
      if (at < last) ranks[at] = this.#rank(ids[at], ids[at + 1]);
    }
  }

  /** A heap of pairs, and tokens linked to their neighbours: n log n. */
  #mergeLong(length: number): number {
    const ids = this.ids;
    const next = Int32Array.from({ length }, (_, i) => i + 1);
    const previous = Int32Array.from({ length }, (_, i) => i - 1);
    // A pair is rank · 2³² + place: the smallest number is the first merge, the leftmost of equal ones.
    const heap = new Heap<number>((a, b) => a < b);
    const propose = (at: number): void => {
      const rank = this.#rank(ids[at], ids[next[at]]);
      if (rank !== NEVER) heap.push(rank * 2 ** 32 + at);
    };
    for (let i = 0; i + 1 < length; i++) propose(i);
    for (let best = heap.pop(); best !== undefined; best = heap.pop()) {
      const at = best % 2 ** 32;
      const rank = (best - at) / 2 ** 32;
      const gone = next[at];
      // A token that was joined to the one before it has the id −1; of the others, the pair may have become another.
      if (ids[at] < 0 || gone >= length || this.#rank(ids[at], ids[gone]) !== rank) continue;
      ids[at] = this.#joined[rank];
      ids[gone] = -1;
      next[at] = next[gone];
      if (next[at] < length) {
        previous[next[at]] = at;
        propose(at);
      }
      if (at > 0) propose(previous[at]);
    }
    let count = 0;
    for (let i = 0; i < length; i = next[i]) ids[count++] = ids[i];
    return count;
  }
}
