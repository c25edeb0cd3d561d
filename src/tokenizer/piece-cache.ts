import type { PieceEncoder } from './bpe-merging.ts';
import { PieceTable } from './piece-table.ts';
import { textOf, type TextUnits } from './text-units.ts';

/** Longest piece that is cached, in UTF-16 units; longer ones rarely occur twice. */
const LONGEST = 32;
/** Largest number of pieces. A full cache is emptied; frequent pieces soon return. */
const MAX_PIECES = 1 << 17;

/** Caches the ids of encoded pieces. In most text nearly every piece has occurred before. */
export class PieceCache {
  readonly #encoder: PieceEncoder;
  readonly #words: ReadonlyMap<string, number> | undefined;
  #table = new PieceTable();
  /** Ids of all pieces, concatenated, and the end of each piece's ids. */
  #ids = new Uint32Array(1 << 12);
  readonly #ends = new Uint32Array(MAX_PIECES);

  /** @param words pieces that are a token each, even if no merges make it (`ignore_merges`) */
  constructor(encoder: PieceEncoder, words?: ReadonlyMap<string, number>) {
    this.#encoder = encoder;
    this.#words = words;
  }

  /**
   * Writes the ids of a piece to `to`, starting at `at`.
   *
   * @param to must have room for one id per byte
   * @returns the end of the ids
   */
  encode(units: TextUnits, start: number, end: number, to: Uint32Array, at: number): number {
    const piece = this.#table.find(units, start, end);
    if (piece < 0) return this.#encodeNew(units, start, end, to, at);
    const last = this.#ends[piece];
    for (let i = piece === 0 ? 0 : this.#ends[piece - 1]; i < last; i++) to[at++] = this.#ids[i];
    return at;
  }

  #encodeNew(units: TextUnits, start: number, end: number, to: Uint32Array, at: number): number {
    const word = this.#words?.get(textOf(units, start, end));
    const count = word === undefined ? this.#encoder.encode(units, start, end) : 1;
    const ids = this.#encoder.ids.subarray(0, count);
    if (word !== undefined) ids[0] = word;
    to.set(ids, at);
    if (end - start <= LONGEST) this.#keep(units, start, end, ids);
    return at + count;
  }

  #keep(units: TextUnits, start: number, end: number, ids: Int32Array): void {
    if (this.#table.size === MAX_PIECES) this.#table = new PieceTable();
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
