import type { PieceEncoder } from './bpe-merging.ts';
import { PieceTable } from './piece-table.ts';
import type { TextUnits } from './text-units.ts';

/** Longer pieces, in UTF-16 units, hardly come twice. */
const LONGEST = 32;
/** A cache that is full starts afresh: what is frequent is soon there again. */
const MOST = 1 << 17;

/** The ids of pieces that have been encoded before. Nearly all pieces of a text have been. */
export class PieceCache {
  readonly #encoder: PieceEncoder;
  #table = new PieceTable();
  /** The ids of all pieces, one behind the other, and where each piece's end. */
  #ids = new Uint32Array(1 << 12);
  readonly #ends = new Uint32Array(MOST);

  constructor(encoder: PieceEncoder) {
    this.#encoder = encoder;
  }

  /**
   * Writes the ids of a piece to `to`, from `at` on.
   *
   * @param to has room for an id for each byte
   * @returns where they end
   */
  encode(units: TextUnits, start: number, end: number, to: Uint32Array, at: number): number {
    const piece = this.#table.find(units, start, end);
    if (piece < 0) return this.#encodeNew(units, start, end, to, at);
    const last = this.#ends[piece];
    for (let i = piece === 0 ? 0 : this.#ends[piece - 1]; i < last; i++) to[at++] = this.#ids[i];
    return at;
  }

  #encodeNew(units: TextUnits, start: number, end: number, to: Uint32Array, at: number): number {
    const count = this.#encoder.encode(units, start, end);
    const ids = this.#encoder.ids.subarray(0, count);
    to.set(ids, at);
    if (end - start <= LONGEST) this.#keep(units, start, end, ids);
    return at + count;
  }

  #keep(units: TextUnits, start: number, end: number, ids: Int32Array): void {
    if (this.#table.size === MOST) this.#table = new PieceTable();
    const piece = this.#table.add(units, start, end);
    const from = piece === 0 ? 0 : this.#ends[piece - 1];
    const to = from + ids.length;
    if (to > this.#ids.length) {
      const larger = new Uint32Array(2 * to);
      larger.set(this.#ids);
      this.#ids = larger;
    }
    this.#ids.set(ids, from);
    this.#ends[piece] = to;
  }
}
