/** Pre-tokenization independent of the rule: character classes, and text that arrives in chunks. */
import { UserError } from '../errors.ts';
import { formatNumber } from '../format.ts';
import { optionName } from '../messages.ts';
import { PieceTable } from './piece-table.ts';
import { UnitReader, type TextUnits } from './text-units.ts';

/**
 * Unicode's White_Space, listed in full: `\s` differs between JavaScript and Rust, and tokenizer.json must mean the same in
 * both.
 */
export const WHITE_SPACE =
  '\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000';

/**
 * Class of each UTF-16 unit.
 *
 * @param patterns classes and the characters they contain; all other characters have class 0
 * @param half class of high surrogates, whose character depends on both halves
 */
export function unitClasses(patterns: readonly (readonly [number, RegExp])[], half: number): Uint8Array {
  const classes = new Uint8Array(0x10000);
  for (let unit = 0; unit < 0x10000; unit++) {
    const character = String.fromCharCode(unit);
    for (const [kind, pattern] of patterns) if (pattern.test(character)) classes[unit] = kind;
  }
  classes.fill(half, 0xd800, 0xdc00);
  return classes;
}

/** The character whose high surrogate is unit `i`. */
export const pairAt = (units: TextUnits, i: number): string =>
  String.fromCharCode(units.getUint16(2 * i, true), units.getUint16(2 * i + 2, true));

/**
 * Position of the last line feed that follows a character other than white space, where every rule ends a piece; 0 if there
 * is none.
 */
export function lastLineEnd(text: string): number {
  for (let at = text.lastIndexOf('\n'); at > 0; at = text.lastIndexOf('\n', at - 1))
    if (!WHITE_SPACE.includes(text[at - 1])) return at;
  return 0;
}

/**
 * A pre-tokenization rule: finds where pieces start in units `from` to `end` (exclusive). The text is well-formed but may
 * end anywhere; unless `final`, a last piece that may continue is left out.
 *
 * @param starts receives the boundaries (length + 1 entries at most): piece i is `starts[i]` … `starts[i + 1] - 1`
 * @param at number of the first piece
 * @returns number of the piece that would be next
 */
export type PieceRule = (
  units: TextUnits,
  from: number,
  end: number,
  final: boolean,
  starts: Uint32Array,
  at: number,
) => number;

/** Flag added to the start of a piece that is removed from the text instead of being tokenized. */
export const REMOVED = 2 ** 31;
/** The start without the `REMOVED` flag. */
export const startOf = (start: number): number => start & (REMOVED - 1);

/**
 * A chunk of text and its piece boundaries, valid until the next chunk. Piece i ends where piece i + 1 starts. Only rules
 * read from tokenizer.json flag pieces as `REMOVED`.
 */
export interface Pieces {
  readonly units: TextUnits;
  readonly starts: Uint32Array;
  readonly count: number;
}

/** In UTF-16 units. A word of this length means text without words; a merged piece beyond 2²⁶ would exhaust memory. */
export const LONGEST_WORD = 1e6;
const LONGEST_PIECE = 2 ** 26;
const MAX_PIECES = 2 ** 24 - 1; // the capacity of a Map

/** A pending piece of this length is scanned again only after the text has doubled, which keeps the total time linear. */
const LONG_PIECE = 1 << 16;

/**
 * Splits a text that arrives in chunks. A piece that may continue is held back for the next chunk.
 *
 * @param longest maximum length of a piece in UTF-16 units
 * @throws UserError if a piece is longer
 */
export function pieceCutter(
  rule: PieceRule,
  longest = LONGEST_PIECE,
): (text: string, final: boolean) => Pieces {
  const reader = new UnitReader();
  let starts = new Uint32Array(1);
  let kept = 0;
  let waiting = '';
  return (text, final) => {
    waiting += text;
    if (!final && kept > LONG_PIECE && waiting.length < kept) {
      starts[0] = 0;
      return { units: NO_UNITS, starts, count: 0 };
    }
    const { units, length } = reader.read(waiting, final);
    waiting = '';
    if (length >= starts.length) starts = new Uint32Array(2 * length + 1);
    const count = rule(units, 0, length, final, starts, 0);
    const end = startOf(starts[count]);
    kept = length - end;
    if (kept > longest)
      throw new UserError(
        'unsuitable-tokenizer',
        `the text has ${formatNumber(longest)} characters in a row that cannot be divided`,
        {
          hint: `it is not written in words: use ${optionName('tokenizer')} char`,
        },
      );
    reader.keep(end);
    return { units, starts, count };
  };
}

const NO_UNITS: TextUnits = new DataView(new ArrayBuffer(0));

/** Counts the pieces of a text that arrives in chunks. */
export class PieceCounter {
  /** Numbers the pieces. */
  readonly table = new PieceTable();
  /** Occurrences by piece number. */
  readonly counts: number[] = [];
  readonly #cut: (text: string, final: boolean) => Pieces;

  constructor(rule: PieceRule, longest?: number) {
    this.#cut = pieceCutter(rule, longest);
  }

  push(text: string, final: boolean): void {
    const { units, starts, count } = this.#cut(text, final);
    const { table, counts } = this;
    for (let i = 0; i < count; i++) {
      const id = table.add(units, starts[i], starts[i + 1]);
      counts[id] = (counts[id] ?? 0) + 1;
    }
    if (table.size > MAX_PIECES)
      throw new UserError('unsuitable-tokenizer', `the text has more than ${MAX_PIECES} different words`, {
        hint: `it is not written in words: use ${optionName('tokenizer')} char`,
      });
  }
}
