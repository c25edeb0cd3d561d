/** What cutting text into pieces has in common, whatever the rule: classes of characters, and text that comes in stretches. */
import { UserError } from '../errors.ts';
import { formatNumber } from '../format.ts';
import { PieceTable } from './piece-table.ts';
import { UnitReader, type TextUnits } from './text-units.ts';

/**
 * White space, written out: `\s` is one set in JavaScript and another in Rust, and tokenizer.json must mean the same
 * everywhere. This is Unicode's White_Space.
 */
export const WHITE_SPACE =
  '\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000';

/**
 * What each UTF-16 unit is to a rule: its class.
 *
 * @param patterns a class and the characters that are of it; 0 is the class of all others
 * @param half the class of the first half of a pair: what the character is, both halves say together
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

/** The character whose first half is unit `i`. */
export const pairAt = (units: TextUnits, i: number): string =>
  String.fromCharCode(units.getUint16(2 * i, true), units.getUint16(2 * i + 2, true));

/** Where the last line ends whose last character is not white space: pieces always end there. 0 if there is none. */
export function lastLineEnd(text: string): number {
  for (let at = text.lastIndexOf('\n'); at > 0; at = text.lastIndexOf('\n', at - 1))
    if (!WHITE_SPACE.includes(text[at - 1])) return at;
  return 0;
}

/**
 * A rule: finds where pieces start. The text is well-formed, but may be cut anywhere: unless `final`, a last piece that may
 * go on in text still to come is left out.
 *
 * @param starts room for one number more than `length`; piece i is from `starts[i]` up to `starts[i + 1]`
 * @returns how many pieces there are
 */
export type PieceRule = (units: TextUnits, length: number, final: boolean, starts: Uint32Array) => number;

/** A stretch of text and where its pieces start, valid until the next is cut: piece i ends where piece i + 1 starts. */
export interface Pieces {
  readonly units: TextUnits;
  readonly starts: Uint32Array;
  readonly count: number;
}

/** In UTF-16 units: a longer piece is refused where pieces are words, and would exhaust memory where they are merged. */
export const LONGEST_WORD = 1e6;
const LONGEST_PIECE = 2 ** 26;
const MOST_PIECES = 2 ** 24 - 1; // a Map holds no more

/** A piece of this length is looked at again only when as much text again has come, or long ones would take quadratic time. */
const LONG_PIECE = 1 << 16;

/**
 * Cuts a text that comes in stretches. What is not certain yet is cut together with the next stretch.
 *
 * @param longest how long a piece may be, in UTF-16 units
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
    const count = rule(units, length, final, starts);
    kept = length - starts[count];
    if (kept > longest)
      throw new UserError(
        'unsuitable-tokenizer',
        `the text has ${formatNumber(longest)} characters without a place to cut`,
        {
          hint: 'it is not written in words: use --tokenizer char',
        },
      );
    reader.keep(starts[count]);
    return { units, starts, count };
  };
}

const NO_UNITS: TextUnits = new DataView(new ArrayBuffer(0));

/** Counts how often each piece occurs in a text that comes in stretches. */
export class PieceCounter {
  /** The pieces, numbered. */
  readonly table = new PieceTable();
  /** How often the piece of each number occurs. */
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
    if (table.size > MOST_PIECES)
      throw new UserError('unsuitable-tokenizer', `the text has more than ${MOST_PIECES} different words`, {
        hint: 'it is not written in words: use --tokenizer char',
      });
  }
}
