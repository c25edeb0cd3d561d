/**
 * Byte pair encoding of one piece of text (Sennrich, Haddow & Birch 2016). Starting from bytes, the adjacent pair that was
 * learned first is merged, leftmost first, until no pair can be.
 */
import { Heap } from './heap.ts';
import { PairTable } from '../pair-table.ts';
import type { TextUnits } from './text-units.ts';

/** Two tokens and the token they merge into. Earlier merges take precedence. */
export interface Merge {
  readonly left: number;
  readonly right: number;
  readonly joined: number;
}

/** Pieces of at least this many tokens use a heap instead of scanning all pairs for each merge. */
const LONG = 64;
/** Rank of a pair that never merges. */
const NEVER = 0x7fffffff;

/**
 * Writes the tokens that a piece consists of before any merge.
 *
 * @param ids has room for three tokens per unit
 * @returns number of tokens
 */
export type SymbolReader = (units: TextUnits, start: number, end: number, ids: Int32Array) => number;

export class PieceEncoder {
  /** `encode` leaves its result at the start of this array. */
  ids = new Int32Array(256);
  readonly #ranks = new Int32Array(LONG);
  readonly #readSymbols: SymbolReader;
  /** A pair's number is its rank: how many merges were learned before it. */
  readonly #pairs = new PairTable();
  /** Merged token by rank. */
  readonly #joined: Int32Array;

  /** @param merges distinct pairs */
  constructor(readSymbols: SymbolReader, merges: readonly Merge[]) {
    this.#readSymbols = readSymbols;
    this.#joined = Int32Array.from(merges, ({ joined }) => joined);
    for (const { left, right } of merges) this.#pairs.add(left, right);
  }

  /** Encodes UTF-16 units `start` to `end` (exclusive) of a well-formed text. @returns number of ids */
  encode(units: TextUnits, start: number, end: number): number {
    const most = 3 * (end - start);
    if (most > this.ids.length) this.ids = new Int32Array(2 * most);
    const length = this.#readSymbols(units, start, end, this.ids);
    return length < LONG ? this.#mergeShort(length) : this.#mergeLong(length);
  }

  #rank(left: number, right: number): number {
    const rank = this.#pairs.find(left, right);
    return rank < 0 ? NEVER : rank;
  }

  /** O(n²): scans all pairs for each merge, but needs no setup. */
  #mergeShort(length: number): number {
    const ids = this.ids;
    const ranks = this.#ranks; // rank of the pair starting at each token
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

  /** O(n log n): a heap of pairs over a linked list of tokens. */
  #mergeLong(length: number): number {
    const ids = this.ids;
    const next = Int32Array.from({ length }, (_, i) => i + 1);
    const previous = Int32Array.from({ length }, (_, i) => i - 1);
    // A heap entry is rank · 2³² + position, so the smallest is the earliest merge, leftmost first.
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
      // Skip stale entries: the token was merged away (id −1), or its pair has changed.
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
